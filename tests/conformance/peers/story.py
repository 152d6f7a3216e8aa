#!/usr/bin/env python3
"""Writes story.json, the work that every peer reports: two runs of a small multi-agent system, its metrics, its logs.

It is data so that each SDK tells the same story, with the same ids and times: what one SDK sends twice is equal field
by field, and a test can compare a run straight into a sink with a run through the daemon. Usage: story.py > story.json
"""
import json

BASE_MS = 1_790_000_000_000  # any fixed moment; spans are told in milliseconds after it
spans = []


def span(name, kind, start, end, parent=None, attributes=None, events=(), status="unset", message="", links=()):
    spans.append({"name": name, "kind": kind, "start_ms": start, "end_ms": end, "parent": parent,
                  "attributes": attributes or {}, "events": list(events), "status": status, "message": message,
                  "links": list(links)})
    return len(spans) - 1


def agent(name, start, end, parent, kind="internal", **more):
    return span(f"invoke_agent {name}", kind, start, end, parent,
                {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "openai", "gen_ai.agent.name": name,
                 "gen_ai.agent.id": f"asst_{name}", "gen_ai.conversation.id": "conv-7"}, **more)


def chat(model, start, end, parent, tokens, **more):
    return span(f"chat {model}", "client", start, end, parent,
                {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": model,
                 "gen_ai.response.model": f"{model}-2026-05-01", "gen_ai.request.temperature": 0.25,
                 "gen_ai.response.finish_reasons": ["stop"], "gen_ai.usage.input_tokens": tokens,
                 "gen_ai.usage.output_tokens": tokens // 4, "server.address": "api.openai.com", "server.port": 443},
                **more)


def tool(name, start, end, parent, **more):
    return span(f"execute_tool {name}", "internal", start, end, parent,
                {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.type": "function",
                 "gen_ai.tool.call.id": f"call_{name}_{start}"}, **more)


def http(method, host, start, end, parent, code=200, **more):
    return span(method, "client", start, end, parent,
                {"http.request.method": method, "url.full": f"https://{host}/v1?q=größe", "server.address": host,
                 "http.response.status_code": code, "network.retry": False}, **more)


def run(offset, fails):
    root = span("POST /trips", "server", offset, offset + 900, None,
                {"http.request.method": "POST", "http.route": "/trips", "http.response.status_code": 500 if fails else 200})
    orchestrator = agent("orchestrator", offset + 5, offset + 890, root)
    chat("gpt-5", offset + 10, offset + 110, orchestrator, 812)
    handover = tool("ask_researcher", offset + 115, offset + 520, orchestrator)
    researcher = agent("researcher", offset + 117, offset + 515, handover, kind="client")
    chat("gpt-5-mini", offset + 120, offset + 190, researcher, 420,
         events=[{"name": "gen_ai.choice", "at_ms": offset + 189, "attributes": {"index": 0, "score": 0.5}},
                 {"name": "first.token", "at_ms": offset + 140, "attributes": {}}])
    search = tool("web_search", offset + 195, offset + 300, researcher)
    http("GET", "search.example.com", offset + 198, offset + 297, search)
    lookup = tool("vector_lookup", offset + 305, offset + 380, researcher)
    span("query trips", "client", offset + 307, offset + 377, lookup,
         {"db.system.name": "qdrant", "db.collection.name": "trips", "db.operation.name": "query", "db.hits": [3, 1, 2]})
    trouble = {"status": "error", "message": "429: rate limited",
               "events": [{"name": "exception", "at_ms": offset + 450,
                           "attributes": {"exception.type": "RateLimitError", "exception.message": "slow down"}}]}
    chat("gpt-5-mini", offset + 385, offset + 460, researcher, 633, **(trouble if fails else {"status": "ok"}))
    if fails:
        writer = orchestrator
    else:
        writer = agent("writer", offset + 530, offset + 800, orchestrator,
                       links=[{"to": researcher, "attributes": {"reason": "findings"}}])
    chat("claude-sonnet-5", offset + 540, offset + 780, writer, 1500)
    return root


run(0, fails=False)
run(10_000, fails=True)

story = {
    "base_ms": BASE_MS,
    "resource": {"service.name": "trip-planner", "service.version": "1.4.2", "service.instance.id": "planner-0",
                 "deployment.environment.name": "conformance"},
    "scope": {"name": "trip.agents", "version": "0.3.0", "schema_url": "https://opentelemetry.io/schemas/1.37.0"},
    "spans": spans,
    "metrics": {
        "counter": {"name": "trips.requests", "unit": "{request}", "description": "Trips asked for",
                    "adds": [[3, {"http.route": "/trips", "ok": True}], [1, {"http.route": "/trips", "ok": False}]]},
        "histogram": {"name": "gen_ai.client.operation.duration", "unit": "s", "description": "Model call time",
                      "records": [[0.07, {"gen_ai.request.model": "gpt-5-mini"}], [0.24, {"gen_ai.request.model": "gpt-5"}],
                                  [31.5, {"gen_ai.request.model": "gpt-5"}]]},
        "gauge": {"name": "trips.queue.ratio", "unit": "1", "description": "Fill of the queue",
                  "values": [[0.375, {"queue": "trips"}]]},
    },
    "logs": [
        {"at_ms": 6, "severity": 9, "text": "INFO", "body": "trip accepted", "attributes": {"trip.days": 3, "trip.cost": 12.5}},
        {"at_ms": 10_451, "severity": 17, "text": "ERROR", "body": "model refused: größe überschritten",
         "attributes": {"error.type": "RateLimitError", "retryable": True}},
    ],
}
print(json.dumps(story, ensure_ascii=False, indent=1))
