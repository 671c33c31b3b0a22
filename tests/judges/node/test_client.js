// The cases of the interop tests on grpc-js.
//
//     test_client.js --server_port=PORT --test_case=CASE --use_tls=BOOL --use_test_ca=BOOL
//         --ca_file=FILE --server_host_override=HOST
"use strict";

const fs = require("node:fs");
const { inspect, isDeepStrictEqual, parseArgs } = require("node:util");
const grpc = require("@grpc/grpc-js");
const {
  ECHO_INITIAL,
  ECHO_TRAILING,
  LOAD_METRICS,
  OpenRcaService,
  OrcaLoadReport,
  TestService,
  UnimplementedService,
  loadReport,
  parseBool,
} = require("./services.js");

const { CANCELLED, DEADLINE_EXCEEDED, INVALID_ARGUMENT, UNIMPLEMENTED, UNKNOWN } = grpc.status;

const LARGE_REQUEST = 271_828;
const LARGE_RESPONSE = 314_159;
const REQUEST_BYTES = [27_182, 8, 1_828, 45_904];
const RESPONSE_SIZES = [31_415, 9, 2_653, 58_979];

// No call takes longer, in milliseconds.
const TIMEOUT = 20_000;

const INITIAL_VALUE = "test_initial_metadata_value";
const TRAILING_VALUE = Buffer.from("ababab", "hex");

// A channel with these options compresses each message that is not in `plain`.
const GZIP = {
  "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip,
  interceptors: [(options, nextCall) => new PlainWhereAsked(nextCall(options))],
};
const NO_COMPRESS = 2;
const plain = new WeakSet();

class PlainWhereAsked extends grpc.InterceptingCall {
  sendMessageWithContext(context, message) {
    const flags = plain.has(message) ? NO_COMPRESS : 0;
    super.sendMessageWithContext({ ...context, flags }, message);
  }
}

/** The services, on one channel. */
class Services {
  constructor(address, credentials, options) {
    this.test = new TestService(address, credentials, options);
    const sameChannel = { channelOverride: this.test.getChannel() };
    this.nobody = new UnimplementedService(address, credentials, sameChannel);
    this.load = new OpenRcaService(address, credentials, sameChannel);
  }

  emptyCall() {
    return unary((...call) => this.test.emptyCall({}, ...call));
  }

  unaryCall(request, metadata) {
    return unary((...call) => this.test.unaryCall(request, ...call), metadata);
  }

  streamingInputCall(requests) {
    return unary((...options) => {
      const call = this.test.streamingInputCall(...options);
      requests.forEach((request) => call.write(request));
      call.end();
      return call;
    });
  }

  streamingOutputCall(request) {
    return this.test.streamingOutputCall(request, until(TIMEOUT));
  }

  fullDuplexCall(metadata = new grpc.Metadata(), timeout = TIMEOUT) {
    return this.test.fullDuplexCall(metadata, until(timeout));
  }

  /** Waits until there is a connection. */
  connected() {
    return new Promise((resolve, reject) => {
      this.test.waitForReady(Date.now() + TIMEOUT, (error) => (error ? reject(error) : resolve()));
    });
  }

  close() {
    this.test.close();
  }
}

/** A call with one response: that, with the metadata that came, or what the call failed with. */
function unary(start, metadata = new grpc.Metadata()) {
  return new Promise((resolve, reject) => {
    const came = {};
    const call = start(metadata, until(TIMEOUT), (error, response) => {
      came.response = response;
      if (error) {
        reject(error);
      }
    });
    call.on("metadata", (initial) => {
      came.initial = initial;
    });
    call.on("status", (status) => resolve({ ...came, trailing: status.metadata }));
  });
}

function until(timeout) {
  return { deadline: Date.now() + timeout };
}

async function emptyUnary(services) {
  const { response } = await services.emptyCall();
  equal(response, {});
}

async function largeUnary(services) {
  isLarge(await services.unaryCall(largeRequest()));
}

async function clientCompressedUnary(_, connect) {
  const services = connect(GZIP);
  const expectCompressed = { ...largeRequest(), expect_compressed: { value: true } };
  const expectPlain = { ...largeRequest(), expect_compressed: { value: false } };
  plain.add(expectPlain);
  const probe = { ...expectCompressed };
  plain.add(probe);

  await fails(INVALID_ARGUMENT, services.unaryCall(probe));
  isLarge(await services.unaryCall(expectCompressed));
  isLarge(await services.unaryCall(expectPlain));
  services.close();
}

async function serverCompressedUnary(services) {
  // Whether it came compressed, grpc-js does not tell.
  for (const value of [true, false]) {
    isLarge(await services.unaryCall({ ...largeRequest(), response_compressed: { value } }));
  }
}

async function clientStreaming(services) {
  const requests = REQUEST_BYTES.map((length) => ({ payload: zeros(length) }));
  const { response } = await services.streamingInputCall(requests);
  equal(response, { aggregated_payload_size: 74_922 });
}

async function clientCompressedStreaming(_, connect) {
  const services = connect(GZIP);
  const compressed = { payload: zeros(27_182), expect_compressed: { value: true } };
  const uncompressed = { payload: zeros(45_904), expect_compressed: { value: false } };
  plain.add(uncompressed);
  const probe = { ...compressed };
  plain.add(probe);

  await fails(INVALID_ARGUMENT, services.streamingInputCall([probe]));
  const { response } = await services.streamingInputCall([compressed, uncompressed]);
  equal(response, { aggregated_payload_size: 73_086 });
  services.close();
}

async function serverStreaming(services) {
  const parameters = RESPONSE_SIZES.map((size) => ({ size }));
  const call = services.streamingOutputCall({ response_parameters: parameters });
  areZeros(await call.toArray(), RESPONSE_SIZES);
}

async function serverCompressedStreaming(services) {
  const call = services.streamingOutputCall({
    response_parameters: [
      { size: 31_415, compressed: { value: true } },
      { size: 92_653, compressed: { value: false } },
    ],
  });
  areZeros(await call.toArray(), [31_415, 92_653]);
}

async function pingPong(services) {
  const call = services.fullDuplexCall();
  const responses = messages(call);
  for (const [index, length] of REQUEST_BYTES.entries()) {
    call.write(ping(length, RESPONSE_SIZES[index]));
    areZeros([await next(responses)], [RESPONSE_SIZES[index]]);
  }
  call.end();
  await ends(responses);
}

async function emptyStream(services) {
  const call = services.fullDuplexCall();
  const responses = messages(call);
  call.end();
  await ends(responses);
}

async function customMetadata(services) {
  const metadata = new grpc.Metadata();
  metadata.set(ECHO_INITIAL, INITIAL_VALUE);
  metadata.set(ECHO_TRAILING, TRAILING_VALUE);
  const came = await services.unaryCall(largeRequest(), metadata);
  isLarge(came);
  echoesAreBack(came);

  const call = services.fullDuplexCall(metadata);
  const responses = messages(call);
  const initial = new Promise((resolve) => call.on("metadata", resolve));
  const status = new Promise((resolve) => call.on("status", resolve));
  call.write(ping(LARGE_REQUEST, LARGE_RESPONSE));
  areZeros([await next(responses)], [LARGE_RESPONSE]);
  call.end();
  await ends(responses);
  echoesAreBack({ initial: await initial, trailing: (await status).metadata });
}

async function statusCodeAndMessage(services) {
  const request = { response_status: { code: UNKNOWN, message: "test status message" } };
  const unaryError = await fails(UNKNOWN, services.unaryCall(request));
  equal(unaryError.details, "test status message");

  const call = services.fullDuplexCall();
  const responses = messages(call);
  call.write(request);
  call.end();
  const duplexError = await fails(UNKNOWN, next(responses));
  equal(duplexError.details, "test status message");
}

async function specialStatusMessage(services) {
  const message = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n";
  const request = { response_status: { code: UNKNOWN, message } };
  const error = await fails(UNKNOWN, services.unaryCall(request));
  equal(error.details, message);
}

async function unimplementedMethod(services) {
  const call = unary((...options) => services.test.unimplementedCall({}, ...options));
  await fails(UNIMPLEMENTED, call);
}

async function unimplementedService(services) {
  const call = unary((...options) => services.nobody.unimplementedCall({}, ...options));
  await fails(UNIMPLEMENTED, call);
}

async function cancelAfterBegin(services) {
  await services.connected();
  let call;
  const response = unary((...options) => {
    call = services.test.streamingInputCall(...options);
    return call;
  });
  // On a connection that is there, its headers leave in the turn that it starts in.
  await new Promise(setImmediate);
  call.cancel();
  await fails(CANCELLED, response);
}

async function cancelAfterFirstResponse(services) {
  const call = services.fullDuplexCall();
  const responses = messages(call);
  call.write(ping(REQUEST_BYTES[0], RESPONSE_SIZES[0]));
  areZeros([await next(responses)], [RESPONSE_SIZES[0]]);
  call.cancel();
  await fails(CANCELLED, next(responses));
}

async function timeoutOnSleepingServer(services) {
  await services.connected();
  const call = services.fullDuplexCall(undefined, 1);
  const responses = messages(call);
  call.write({ payload: zeros(27_182) });
  await fails(DEADLINE_EXCEEDED, next(responses));
}

async function pickFirstUnary(services) {
  const request = { response_size: 1, payload: zeros(1), fill_server_id: true };
  const ids = new Set();
  for (let count = 0; count < 100; count += 1) {
    const { response } = await services.unaryCall(request);
    areZeros([response], [1]);
    ids.add(response.server_id);
  }
  equal([ids.size, ids.has("")], [1, false]);
}

async function orcaPerRpc(services) {
  const asked = {
    cpu_utilization: 0.821,
    memory_utilization: 0.5847,
    request_cost: { cost: 3456.32 },
    utilization: { util: 0.30499 },
  };
  const { trailing } = await services.unaryCall({ orca_per_query_report: asked });
  const reports = trailing.get(LOAD_METRICS).map((bytes) => OrcaLoadReport.deserialize(bytes));
  equal(reports, [loadReport(asked)]);
}

async function orcaOob(services) {
  const call = services.fullDuplexCall(undefined, 30_000);
  const responses = messages(call);
  const wanted = { report_interval: { seconds: 1 } };
  const reporting = services.load.streamCoreMetrics(wanted, until(30_000));
  const reports = messages(reporting);
  for (const [cpu, memory, other] of [[0.821, 0.5847, 0.30499], [0.29309, 0.2, 0.2039]]) {
    const asked = {
      cpu_utilization: cpu,
      memory_utilization: memory,
      request_cost: {},
      utilization: { util: other },
    };
    call.write({ orca_oob_report: asked, response_parameters: [{ size: 1 }] });
    areZeros([await next(responses)], [1]);
    const deadline = Date.now() + 10_000;
    let report = await next(reports);
    while (!isDeepStrictEqual(report, loadReport(asked)) && Date.now() < deadline) {
      report = await next(reports);
    }
    equal(report, loadReport(asked));
  }
  call.end();
  await ends(responses);
  reporting.cancel();
}

async function rpcSoak(services) {
  await tenInTime(() => largeUnary(services));
}

async function channelSoak(_, connect) {
  await tenInTime(async () => {
    const services = connect();
    await largeUnary(services);
    services.close();
  });
}

async function tenInTime(run) {
  for (let count = 0; count < 10; count += 1) {
    const start = performance.now();
    await run();
    const elapsed = performance.now() - start;
    if (elapsed > 1_000) {
      throw new Error(`expected a call of at most 1000 ms; came one of ${elapsed.toFixed()} ms`);
    }
  }
}

function largeRequest() {
  return { response_size: LARGE_RESPONSE, payload: zeros(LARGE_REQUEST) };
}

function ping(length, size) {
  return { payload: zeros(length), response_parameters: [{ size }] };
}

function zeros(length) {
  return { body: Buffer.alloc(length) };
}

function isLarge({ response }) {
  areZeros([response], [LARGE_RESPONSE]);
}

/** The payloads are of these sizes, and nothing but zeros. */
function areZeros(responses, sizes) {
  const bodies = responses.map((response) => response.payload?.body ?? Buffer.alloc(0));
  equal(bodies.map((body) => body.length), sizes);
  if (bodies.some((body) => body.some((byte) => byte !== 0))) {
    throw new Error("expected zeros; came other bytes");
  }
}

function echoesAreBack({ initial, trailing }) {
  equal(initial.get(ECHO_INITIAL), [INITIAL_VALUE]);
  equal(trailing.get(ECHO_TRAILING), [TRAILING_VALUE]);
}

function messages(call) {
  return call[Symbol.asyncIterator]();
}

async function next(responses) {
  const { done, value } = await responses.next();
  if (done) {
    throw new Error("expected a message; came the end");
  }
  return value;
}

async function ends(responses) {
  equal(await responses.next(), { done: true, value: undefined });
}

/** The failure of a call, which must be of this code. */
async function fails(code, outcome) {
  let came;
  try {
    came = await outcome;
  } catch (error) {
    if (error.code !== code) {
      throw new Error(`expected ${grpc.status[code]}; came ${error.message}`);
    }
    return error;
  }
  throw new Error(`expected ${grpc.status[code]}; came ${shortened(came)}`);
}

function equal(came, expected) {
  if (!isDeepStrictEqual(came, expected)) {
    throw new Error(`expected ${shortened(expected)}; came ${shortened(came)}`);
  }
}

function shortened(value) {
  const text = inspect(value).replace(/\s+/g, " ");
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}

const CASES = {
  empty_unary: emptyUnary,
  large_unary: largeUnary,
  client_compressed_unary: clientCompressedUnary,
  server_compressed_unary: serverCompressedUnary,
  client_streaming: clientStreaming,
  client_compressed_streaming: clientCompressedStreaming,
  server_streaming: serverStreaming,
  server_compressed_streaming: serverCompressedStreaming,
  ping_pong: pingPong,
  empty_stream: emptyStream,
  custom_metadata: customMetadata,
  status_code_and_message: statusCodeAndMessage,
  special_status_message: specialStatusMessage,
  unimplemented_method: unimplementedMethod,
  unimplemented_service: unimplementedService,
  cancel_after_begin: cancelAfterBegin,
  cancel_after_first_response: cancelAfterFirstResponse,
  timeout_on_sleeping_server: timeoutOnSleepingServer,
  pick_first_unary: pickFirstUnary,
  orca_per_rpc: orcaPerRpc,
  orca_oob: orcaOob,
  rpc_soak: rpcSoak,
  channel_soak: channelSoak,
};

async function main() {
  const { values: flags } = parseArgs({
    options: {
      server_host: { type: "string", default: "localhost" },
      server_port: { type: "string" },
      server_host_override: { type: "string" },
      test_case: { type: "string" },
      use_tls: { type: "string", default: "false" },
      use_test_ca: { type: "string", default: "false" },
      ca_file: { type: "string" },
    },
  });
  const connect = (options) => {
    const address = `${flags.server_host}:${flags.server_port}`;
    return new Services(address, credentials(flags), { ...nameOptions(flags), ...options });
  };
  const services = connect();
  await CASES[flags.test_case](services, connect);
  services.close();
}

function credentials(flags) {
  if (!parseBool(flags.use_tls)) {
    return grpc.credentials.createInsecure();
  }
  const authority = parseBool(flags.use_test_ca) ? fs.readFileSync(flags.ca_file) : null;
  return grpc.credentials.createSsl(authority);
}

function nameOptions({ server_host_override: name }) {
  return name ? { "grpc.ssl_target_name_override": name, "grpc.default_authority": name } : {};
}

// A promise that nobody keeps ends the process as if all were well. So it fails until it has passed.
let said = "the case came to no end";
process.exitCode = 1;
process.on("exit", () => said && console.log(said));
process.on("uncaughtException", (error) => {
  said = error.message.replace(/\s+/g, " ");
  process.exit(1);
});

main().then(() => {
  said = "";
  process.exitCode = 0;
});
