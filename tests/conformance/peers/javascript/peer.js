// Reports story.json with the official JavaScript SDK over OTLP/HTTP; exits 1 when any export failed.
//
//     node peer.js --endpoint http://HOST:PORT [--protocol http/json|http/protobuf] [--compression none|gzip]
//                  [--signals traces,metrics,logs] [--seed N] [--story FILE]
//
// Ids and times come from the story, so two runs of one invocation send equal requests (metrics keep the clock's times).
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const api = require('@opentelemetry/api');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BasicTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const { MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { LoggerProvider, BatchLogRecordProcessor } = require('@opentelemetry/sdk-logs');

const EXPORTERS = {
  'http/json': {
    traces: require('@opentelemetry/exporter-trace-otlp-http').OTLPTraceExporter,
    metrics: require('@opentelemetry/exporter-metrics-otlp-http').OTLPMetricExporter,
    logs: require('@opentelemetry/exporter-logs-otlp-http').OTLPLogExporter,
  },
  'http/protobuf': {
    traces: require('@opentelemetry/exporter-trace-otlp-proto').OTLPTraceExporter,
    metrics: require('@opentelemetry/exporter-metrics-otlp-proto').OTLPMetricExporter,
    logs: require('@opentelemetry/exporter-logs-otlp-proto').OTLPLogExporter,
  },
};

const failures = [];
const exports_ = {};

/** The exporter, with every export's result noted. */
function checked(exporter, signal) {
  const send = exporter.export.bind(exporter);
  exporter.export = (items, done) =>
    send(items, (result) => {
      exports_[signal] = (exports_[signal] ?? 0) + 1;
      if (result.code !== 0) failures.push(`${signal}: ${result.error?.message ?? 'export failed'}`);
      done(result);
    });
  return exporter;
}

/** 1, 2, 3, … under a seed. */
class Numbered {
  constructor(seed) {
    this.seed = seed;
    this.traces = 0;
    this.spans = 0;
  }
  generateTraceId() {
    return hex(this.seed, 16) + hex(++this.traces, 16);
  }
  generateSpanId() {
    return hex(this.seed, 8) + hex(++this.spans, 8);
  }
}

function hex(number, digits) {
  return number.toString(16).padStart(digits, '0');
}

async function tellSpans(story, exporter, resource, seed) {
  const processor = new BatchSpanProcessor(exporter, { scheduledDelayMillis: 60_000 });
  const provider = new BasicTracerProvider({ resource, idGenerator: new Numbered(seed), spanProcessors: [processor] });
  const tracer = provider.getTracer(story.scope.name, story.scope.version, { schemaUrl: story.scope.schema_url });
  const made = [];
  for (const told of story.spans) {
    const none = api.ROOT_CONTEXT;
    const parent = told.parent === null ? none : api.trace.setSpan(none, made[told.parent]);
    const links = told.links.map((link) => ({ context: made[link.to].spanContext(), attributes: link.attributes }));
    const kind = api.SpanKind[told.kind.toUpperCase()];
    const startTime = story.base_ms + told.start_ms;
    const span = tracer.startSpan(told.name, { kind, attributes: told.attributes, links, startTime }, parent);
    for (const event of told.events) span.addEvent(event.name, event.attributes, story.base_ms + event.at_ms);
    if (told.status === 'error') span.setStatus({ code: api.SpanStatusCode.ERROR, message: told.message });
    if (told.status === 'ok') span.setStatus({ code: api.SpanStatusCode.OK });
    made.push(span);
  }
  const ends = made.map((span, i) => [story.spans[i].end_ms, span]).sort((a, b) => a[0] - b[0]);
  for (const [end, span] of ends) span.end(story.base_ms + end);
  await provider.shutdown();
}

async function tellMetrics(story, exporter, resource) {
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 600_000 });
  const provider = new MeterProvider({ resource, readers: [reader] });
  const meter = provider.getMeter(story.scope.name, story.scope.version, { schemaUrl: story.scope.schema_url });
  const { counter, histogram, gauge } = story.metrics;
  const described = ({ unit, description }) => ({ unit, description });
  const counted = meter.createCounter(counter.name, described(counter));
  for (const [amount, attributes] of counter.adds) counted.add(amount, attributes);
  const timed = meter.createHistogram(histogram.name, described(histogram));
  for (const [value, attributes] of histogram.records) timed.record(value, attributes);
  const level = meter.createGauge(gauge.name, described(gauge));
  for (const [value, attributes] of gauge.values) level.record(value, attributes);
  await provider.shutdown();
}

async function tellLogs(story, exporter, resource) {
  const processor = new BatchLogRecordProcessor({ exporter, scheduledDelayMillis: 60_000 });
  const provider = new LoggerProvider({ resource, processors: [processor] });
  const logger = provider.getLogger(story.scope.name, story.scope.version, { schemaUrl: story.scope.schema_url });
  for (const told of story.logs) {
    const timestamp = story.base_ms + told.at_ms;
    const { severity, text, body, attributes } = told;
    logger.emit({
      timestamp, observedTimestamp: timestamp + 1, severityNumber: severity, severityText: text, body, attributes,
      context: api.ROOT_CONTEXT,
    });
  }
  await provider.shutdown();
}

const TELL = { traces: tellSpans, metrics: tellMetrics, logs: tellLogs };

async function main() {
  const { values } = parseArgs({
    options: {
      endpoint: { type: 'string' },
      protocol: { type: 'string', default: 'http/json' },
      compression: { type: 'string', default: 'none' },
      signals: { type: 'string', default: 'traces,metrics,logs' },
      seed: { type: 'string', default: '1' },
      story: { type: 'string', default: path.join(__dirname, '..', 'story.json') },
    },
  });
  if (!values.endpoint) throw new Error('--endpoint http://HOST:PORT is needed');
  if (!EXPORTERS[values.protocol]) throw new Error(`unknown protocol ${values.protocol}`);
  const level = process.env.OTEL_LOG_LEVEL === 'debug' ? api.DiagLogLevel.DEBUG : api.DiagLogLevel.WARN;
  api.diag.setLogger(new api.DiagConsoleLogger(), level);
  const story = JSON.parse(fs.readFileSync(values.story, 'utf8'));
  const resource = resourceFromAttributes({ ...story.resource, 'telemetry.sdk.language': 'nodejs' });
  for (const signal of values.signals.split(',')) {
    const Exporter = EXPORTERS[values.protocol][signal];
    const options = {
      url: `${values.endpoint}/v1/${signal}`, compression: values.compression, timeoutMillis: 10_000,
    };
    await TELL[signal](story, checked(new Exporter(options), signal), resource, Number(values.seed));
    if (!exports_[signal]) failures.push(`${signal}: nothing was exported`);
  }
  for (const failure of failures) console.error(failure);
  console.log(JSON.stringify({ exports: exports_, failures: failures.length }));
  process.exitCode = failures.length > 0 ? 1 : 0;
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
