// The services of the interop tests, made from their protos, and what the client and the server share.
"use strict";

const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const { loadSync } = require("@grpc/proto-loader");

const protos = loadSync(["grpc/testing/test.proto", "xds/service/orca/v3/orca.proto"], {
  includeDirs: [path.join(__dirname, "..", "..", "..", "proto")],
  keepCase: true,
  longs: Number,
  defaults: true,
});
const packages = grpc.loadPackageDefinition(protos);
const { TestService, UnimplementedService } = packages.grpc.testing;
const { OpenRcaService } = packages.xds.service.orca.v3;
const { OrcaLoadReport } = packages.xds.data.orca.v3;

const ECHO_INITIAL = "x-grpc-test-echo-initial";
const ECHO_TRAILING = "x-grpc-test-echo-trailing-bin";
const LOAD_METRICS = "endpoint-load-metrics-bin";

const NO_LOAD = OrcaLoadReport.deserialize(Buffer.alloc(0));

/** The report that a test asks for. */
function loadReport(asked) {
  return {
    ...NO_LOAD,
    cpu_utilization: asked.cpu_utilization,
    mem_utilization: asked.memory_utilization,
    request_cost: asked.request_cost,
    utilization: asked.utilization,
  };
}

/** A flag's value, as the official programs take it. */
function parseBool(text) {
  if (text !== "true" && text !== "false") {
    throw new Error(`${text} is neither true nor false`);
  }
  return text === "true";
}

module.exports = {
  ECHO_INITIAL,
  ECHO_TRAILING,
  LOAD_METRICS,
  NO_LOAD,
  OpenRcaService,
  OrcaLoadReport,
  TestService,
  UnimplementedService,
  loadReport,
  parseBool,
};
