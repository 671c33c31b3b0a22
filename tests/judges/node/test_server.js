// `grpc.testing.TestService` and `xds.service.orca.v3.OpenRcaService` on grpc-js.
//
//     test_server.js --port=PORT --use_tls=BOOL --tls_cert_file=FILE --tls_key_file=FILE
"use strict";

const fs = require("node:fs");
const { setTimeout: sleep } = require("node:timers/promises");
const { parseArgs } = require("node:util");
const grpc = require("@grpc/grpc-js");
const {
  ECHO_INITIAL,
  ECHO_TRAILING,
  NO_LOAD,
  OpenRcaService,
  TestService,
  loadReport,
  parseBool,
} = require("./services.js");

const SERVER_ID = `node-${process.pid}`;

// What the load is, and the end of the last turn to say so.
let load = NO_LOAD;
let lastTurn = Promise.resolve();

const testService = {
  emptyCall: unary(() => ({})),

  unaryCall: unary((call) => {
    const request = call.request;
    if (request.orca_per_query_report) {
      recordLoad(call.getMetricsRecorder(), request.orca_per_query_report);
    }
    checkStatus(request);
    return {
      payload: { body: Buffer.alloc(request.response_size) },
      server_id: request.fill_server_id ? SERVER_ID : "",
    };
  }),

  streamingOutputCall: stream(async (call) => {
    checkStatus(call.request);
    await answer(call, call.request);
  }),

  streamingInputCall: unary(async (call) => {
    let total = 0;
    for await (const request of call) {
      total += request.payload?.body.length ?? 0;
    }
    return { aggregated_payload_size: total };
  }),

  fullDuplexCall: stream(async (call) => {
    let endTurn = null;
    try {
      // The half that writes lives on when there is nothing more to read.
      for await (const request of call.iterator({ destroyOnReturn: false })) {
        checkStatus(request);
        if (request.orca_oob_report) {
          endTurn ??= await takeTurn();
          load = loadReport(request.orca_oob_report);
        }
        await answer(call, request);
      }
    } finally {
      endTurn?.();
    }
  }),
};

// Not grpc-js's own `ServerMetricRecorder`, which knows no memory.
const loadService = {
  streamCoreMetrics(call) {
    const report = () => call.write(load);
    report();
    const seconds = Math.max(1, call.request.report_interval?.seconds ?? 0);
    const timer = setInterval(report, seconds * 1000);
    call.on("cancelled", () => clearInterval(timer));
  },
};

/** A call that ends with the one response that `answer` gives, or with the status that it throws. */
function unary(answer) {
  return async (call, respond) => {
    const metadata = echo(call);
    try {
      respond(null, await answer(call), metadata);
    } catch (status) {
      respond(status, null, metadata);
    }
  };
}

/** A call that ends when `answer` does, or with the status that it throws. */
function stream(answer) {
  return async (call) => {
    const metadata = echo(call);
    try {
      await answer(call);
      call.end(metadata);
    } catch (status) {
      call.emit("error", Object.assign(status, { metadata }));
    }
  };
}

/** Begins the response with metadata of the request, and gives that for its end. */
function echo(call) {
  const initial = copy(call.metadata, ECHO_INITIAL);
  if (initial.get(ECHO_INITIAL).length > 0) {
    call.sendMetadata(initial);
  }
  return copy(call.metadata, ECHO_TRAILING);
}

function copy(metadata, key) {
  const found = new grpc.Metadata();
  for (const value of metadata.get(key)) {
    found.add(key, value);
  }
  return found;
}

function recordLoad(recorder, asked) {
  recorder.recordCPUUtilizationMetric(asked.cpu_utilization);
  recorder.recordMemoryUtilizationMetric(asked.memory_utilization);
  for (const [name, value] of Object.entries(asked.request_cost)) {
    recorder.recordRequestCostMetric(name, value);
  }
  for (const [name, value] of Object.entries(asked.utilization)) {
    recorder.recordUtilizationMetric(name, value);
  }
}

function checkStatus({ response_status: status }) {
  if (status && status.code !== 0) {
    throw Object.assign(new Error(), { code: status.code, details: status.message });
  }
}

async function answer(call, request) {
  for (const parameters of request.response_parameters) {
    await sleep(parameters.interval_us / 1000);
    call.write({ payload: { body: Buffer.alloc(parameters.size) } });
  }
}

/** Waits until no other call says what the load is. Gives what ends the turn. */
async function takeTurn() {
  const before = lastTurn;
  let end;
  lastTurn = new Promise((resolve) => {
    end = resolve;
  });
  await before;
  return end;
}

function main() {
  const { values: flags } = parseArgs({
    options: {
      port: { type: "string" },
      use_tls: { type: "string", default: "false" },
      tls_cert_file: { type: "string" },
      tls_key_file: { type: "string" },
    },
  });
  // This makes grpc-js send the load of a call.
  const server = new grpc.Server({ "grpc.server_call_metric_recording": 1 });
  server.addService(TestService.service, testService);
  server.addService(OpenRcaService.service, loadService);
  server.bindAsync(`[::]:${flags.port}`, credentials(flags), (error) => {
    if (error) {
      throw error;
    }
  });
}

function credentials(flags) {
  if (!parseBool(flags.use_tls)) {
    return grpc.ServerCredentials.createInsecure();
  }
  const pair = {
    cert_chain: fs.readFileSync(flags.tls_cert_file),
    private_key: fs.readFileSync(flags.tls_key_file),
  };
  return grpc.ServerCredentials.createSsl(null, [pair]);
}

main();
