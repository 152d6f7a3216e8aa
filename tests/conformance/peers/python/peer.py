#!/usr/bin/env python3
"""Reports story.json with the official Python SDK; exits 1 when any export failed.

Ids and times come from the story, so two runs of one invocation send equal requests (metrics keep the clock's times).
"""
import argparse
import json
import pathlib
import sys

import grpc
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator

FAILURES = []
EXPORTS = {}


def checked(exporter_class, signal):
    """The exporter, with every export's result noted."""

    class Checked(exporter_class):
        def export(self, *args, **kwargs):
            result = super().export(*args, **kwargs)
            EXPORTS[signal] = EXPORTS.get(signal, 0) + 1
            if result.name != "SUCCESS":
                FAILURES.append(f"{signal}: {result}")
            return result

    return Checked


class Numbered(IdGenerator):
    """1, 2, 3, … under a seed."""

    def __init__(self, seed):
        self.seed, self.traces, self.spans = seed, 0, 0

    def generate_trace_id(self):
        self.traces += 1
        return self.seed << 64 | self.traces

    def generate_span_id(self):
        self.spans += 1
        return self.seed << 32 | self.spans


def options(protocol, endpoint, compression, path):
    if protocol == "grpc":
        kinds = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}
        return {"endpoint": endpoint, "insecure": True, "compression": kinds[compression], "timeout": 10}
    kinds = {"none": Compression.NoCompression, "gzip": Compression.Gzip}
    return {"endpoint": f"{endpoint}/v1/{path}", "compression": kinds[compression], "timeout": 10}


def tell_spans(story, exporter, resource, seed):
    provider = TracerProvider(resource=resource, id_generator=Numbered(seed))
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=60_000))
    scope = story["scope"]
    tracer = provider.get_tracer(scope["name"], scope["version"], scope["schema_url"], {"peer": "python"})
    at = lambda ms: (story["base_ms"] + ms) * 1_000_000
    made = []
    for told in story["spans"]:
        parent = None if told["parent"] is None else trace.set_span_in_context(made[told["parent"]])
        links = [trace.Link(made[link["to"]].get_span_context(), link["attributes"]) for link in told["links"]]
        span = tracer.start_span(told["name"], context=parent, kind=trace.SpanKind[told["kind"].upper()],
                                 attributes=told["attributes"], links=links, start_time=at(told["start_ms"]))
        for event in told["events"]:
            span.add_event(event["name"], event["attributes"], timestamp=at(event["at_ms"]))
        if told["status"] == "error":
            span.set_status(trace.StatusCode.ERROR, told["message"])
        elif told["status"] == "ok":
            span.set_status(trace.StatusCode.OK)
        made.append(span)
    for told, span in sorted(zip(story["spans"], made), key=lambda pair: pair[0]["end_ms"]):
        span.end(end_time=at(told["end_ms"]))
    provider.shutdown()


def tell_metrics(story, exporter, resource):
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=600_000)
    provider = MeterProvider(resource=resource, metric_readers=[reader])
    scope, told = story["scope"], story["metrics"]
    meter = provider.get_meter(scope["name"], scope["version"], scope["schema_url"])
    describe = lambda one: {"unit": one["unit"], "description": one["description"]}
    counter = meter.create_counter(told["counter"]["name"], **describe(told["counter"]))
    for amount, attributes in told["counter"]["adds"]:
        counter.add(amount, attributes)
    histogram = meter.create_histogram(told["histogram"]["name"], **describe(told["histogram"]))
    for value, attributes in told["histogram"]["records"]:
        histogram.record(value, attributes)
    gauge = meter.create_gauge(told["gauge"]["name"], **describe(told["gauge"]))
    for value, attributes in told["gauge"]["values"]:
        gauge.set(value, attributes)
    provider.shutdown()


def tell_logs(story, exporter, resource):
    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=60_000))
    scope = story["scope"]
    logger = provider.get_logger(scope["name"], scope["version"], scope["schema_url"])
    for told in story["logs"]:
        at = (story["base_ms"] + told["at_ms"]) * 1_000_000
        logger.emit(LogRecord(timestamp=at, observed_timestamp=at + 1, severity_number=SeverityNumber(told["severity"]),
                              severity_text=told["text"], body=told["body"], attributes=told["attributes"]))
    provider.shutdown()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", required=True, help="http://HOST:PORT")
    parser.add_argument("--protocol", choices=("grpc", "http/protobuf"), default="grpc")
    parser.add_argument("--compression", choices=("none", "gzip"), default="none")
    parser.add_argument("--signals", default="traces,metrics,logs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--story", default=pathlib.Path(__file__).parent.parent / "story.json")
    args = parser.parse_args()
    story = json.loads(pathlib.Path(args.story).read_text(encoding="utf-8"))
    resource = Resource.create(story["resource"])
    signals = args.signals.split(",")
    ways = {
        "traces": (GrpcSpans, HttpSpans, lambda exporter: tell_spans(story, exporter, resource, args.seed)),
        "metrics": (GrpcMetrics, HttpMetrics, lambda exporter: tell_metrics(story, exporter, resource)),
        "logs": (GrpcLogs, HttpLogs, lambda exporter: tell_logs(story, exporter, resource)),
    }
    for signal in signals:
        by_grpc, by_http, tell = ways[signal]
        exporter = checked(by_grpc if args.protocol == "grpc" else by_http, signal)
        tell(exporter(**options(args.protocol, args.endpoint, args.compression, signal)))
        if not EXPORTS.get(signal):
            FAILURES.append(f"{signal}: nothing was exported")
    for failure in FAILURES:
        print(failure, file=sys.stderr)
    print(json.dumps({"exports": EXPORTS, "failures": len(FAILURES)}))
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
