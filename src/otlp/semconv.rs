//! Names of attributes: the one place where each is spelled.
//!
//! The comment of a block names the convention and the versions that write the key; `gen_ai.*` keys of all released
//! versions stand side by side, because mixed spellings inside one trace are normal (U-02).
//!
//! **Not here.** Which key stands for what, and which wins: that is the scanner's alias table (`scan::alias`).

/// Declares the names of one convention.
macro_rules! names {
    ($of:literal: $($name:ident = $key:literal;)*) => {
        $(
            #[doc = concat!("`", $key, "`, ", $of, ".")]
            pub const $name: &str = $key;
        )*
    };
}

names! {
    "OpenTelemetry resource conventions, stable or long in use":
    SERVICE_NAME = "service.name";
    SERVICE_NAMESPACE = "service.namespace";
    SERVICE_VERSION = "service.version";
    SERVICE_INSTANCE_ID = "service.instance.id";
    DEPLOYMENT_ENVIRONMENT_NAME = "deployment.environment.name";
    DEPLOYMENT_ENVIRONMENT = "deployment.environment";
}

names! {
    "OpenTelemetry GenAI conventions, 1.26 and later; `gen_ai.system` and `…prompt_tokens` are the oldest":
    GEN_AI_OPERATION_NAME = "gen_ai.operation.name";
    GEN_AI_PROVIDER_NAME = "gen_ai.provider.name";
    GEN_AI_SYSTEM = "gen_ai.system";
    GEN_AI_REQUEST_MODEL = "gen_ai.request.model";
    GEN_AI_RESPONSE_MODEL = "gen_ai.response.model";
    GEN_AI_RESPONSE_ID = "gen_ai.response.id";
    GEN_AI_RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons";
    GEN_AI_AGENT_NAME = "gen_ai.agent.name";
    GEN_AI_AGENT_ID = "gen_ai.agent.id";
    GEN_AI_WORKFLOW_NAME = "gen_ai.workflow.name";
    GEN_AI_TOOL_NAME = "gen_ai.tool.name";
    GEN_AI_TOOL_TYPE = "gen_ai.tool.type";
    GEN_AI_TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments";
    GEN_AI_DATA_SOURCE_ID = "gen_ai.data_source.id";
    GEN_AI_MEMORY_STORE_ID = "gen_ai.memory.store.id";
    GEN_AI_USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens";
    GEN_AI_USAGE_PROMPT_TOKENS = "gen_ai.usage.prompt_tokens";
    GEN_AI_USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens";
    GEN_AI_USAGE_COMPLETION_TOKENS = "gen_ai.usage.completion_tokens";
}

names! {
    "GenAI keys that are proposals or vendors' own, under the `gen_ai` name":
    GEN_AI_MAIN_AGENT_NAME = "gen_ai.main_agent.name";
    GEN_AI_USAGE_COST = "gen_ai.usage.cost";
    GEN_AI_COST_TOTAL_COST = "gen_ai.cost.total_cost";
    GEN_AI_COST_INPUT_COST = "gen_ai.cost.input_cost";
    GEN_AI_COST_OUTPUT_COST = "gen_ai.cost.output_cost";
    GEN_AI_COST_CACHE_READ_COST = "gen_ai.cost.cache_read_cost";
    GEN_AI_COST_CACHE_CREATION_COST = "gen_ai.cost.cache_creation_cost";
    GEN_AI_CALLER_NAME = "gen_ai.caller.name";
    GEN_AI_HANDOFF_FROM_AGENT = "gen_ai.handoff.from_agent";
    GEN_AI_HANDOFF_TO_AGENT = "gen_ai.handoff.to_agent";
    GEN_AI_TRANSFER_TARGET_NAME = "gen_ai.transfer.target.name";
    GEN_AI_TRANSFER_MODE = "gen_ai.transfer.mode";
    GEN_AI_AGENT_HANDOFF_SOURCE_NAME = "gen_ai.agent.handoff.source.name";
    GEN_AI_AGENT_HANDOFF_TARGET_NAME = "gen_ai.agent.handoff.target.name";
    GEN_AI_AGENT_HANDOFF_PARENT = "gen_ai.agent.handoff_parent";
    GEN_AI_GUARDRAIL_NAME = "gen_ai.guardrail.name";
    GEN_AI_GUARDRAIL_COMPONENT_NAME = "gen_ai.guardrail.component.name";
    GEN_AI_GUARDRAIL_TRIGGERED = "gen_ai.guardrail.triggered";
    GEN_AI_GUARDRAIL_VERDICT_TYPE = "gen_ai.guardrail.verdict.type";
    GEN_AI_GUARDRAIL_RESULT_VALUE = "gen_ai.guardrail.result.value";
    GEN_AI_TOOL_STATUS = "gen_ai.tool.status";
    GEN_AI_TOOL_SUCCESS = "gen_ai.tool.success";
    GEN_AI_TASK_STATUS = "gen_ai.task.status";
    AWS_BEDROCK_GUARDRAIL_ID = "aws.bedrock.guardrail.id";
    GUARDRAIL_NAME = "guardrail_name";
    GUARDRAIL_STATUS = "guardrail_status";
}

names! {
    "OpenInference":
    OPENINFERENCE_SPAN_KIND = "openinference.span.kind";
    AGENT_NAME = "agent.name";
    GRAPH_NODE_ID = "graph.node.id";
    GRAPH_NODE_NAME = "graph.node.name";
    GRAPH_NODE_PARENT_ID = "graph.node.parent_id";
    TOOL_NAME = "tool.name";
    TOOL_AGENT_ROLE = "tool.agent_role";
    TOOL_PARAMETERS = "tool.parameters";
    INPUT_VALUE = "input.value";
    OUTPUT_VALUE = "output.value";
    LLM_MODEL_NAME = "llm.model_name";
    LLM_REQUEST_MODEL_NAME = "llm.request.model_name";
    LLM_RESPONSE_MODEL_NAME = "llm.response.model_name";
    LLM_PROVIDER = "llm.provider";
    LLM_SYSTEM = "llm.system";
    EMBEDDING_MODEL_NAME = "embedding.model_name";
    RERANKER_MODEL_NAME = "reranker.model_name";
    DECISION_MODEL_NAME = "decision.model_name";
    DECISION_REQUEST_MODEL_NAME = "decision.request.model_name";
    DECISION_PROVIDER = "decision.provider";
    LLM_TOKEN_COUNT_PROMPT = "llm.token_count.prompt";
    LLM_TOKEN_COUNT_COMPLETION = "llm.token_count.completion";
    LLM_COST_TOTAL = "llm.cost.total";
    LLM_COST_PROMPT = "llm.cost.prompt";
    LLM_COST_COMPLETION = "llm.cost.completion";
    METADATA = "metadata";
    CREW_KEY = "crew_key";
    CREW_ID = "crew_id";
}

names! {
    "OpenLLMetry (Traceloop)":
    TRACELOOP_SPAN_KIND = "traceloop.span.kind";
    TRACELOOP_ENTITY_NAME = "traceloop.entity.name";
    TRACELOOP_ENTITY_INPUT = "traceloop.entity.input";
    TRACELOOP_ENTITY_OUTPUT = "traceloop.entity.output";
    LANGGRAPH_COMMAND_SOURCE_NODE = "langgraph.command.source_node";
    LANGGRAPH_COMMAND_GOTO_NODE = "langgraph.command.goto_node";
    LANGGRAPH_COMMAND_GOTO_NODES = "langgraph.command.goto_nodes";
    GEN_AI_TASK_NAME = "gen_ai.task.name";
    TRACELOOP_WORKFLOW_NAME = "traceloop.workflow.name";
    CREWAI_CREW_NAME = "crewai.crew.name";
    LLM_USAGE_PROMPT_TOKENS = "llm.usage.prompt_tokens";
    LLM_USAGE_COMPLETION_TOKENS = "llm.usage.completion_tokens";
}

names! {
    "Vercel AI SDK 3 to 6":
    AI_OPERATION_ID = "ai.operationId";
    AI_TELEMETRY_FUNCTION_ID = "ai.telemetry.functionId";
    AI_TOOL_CALL_NAME = "ai.toolCall.name";
    AI_MODEL_ID = "ai.model.id";
    AI_MODEL_PROVIDER = "ai.model.provider";
    AI_RESPONSE_MODEL = "ai.response.model";
    AI_USAGE_INPUT_TOKENS = "ai.usage.inputTokens";
    AI_USAGE_PROMPT_TOKENS = "ai.usage.promptTokens";
    AI_USAGE_TOKENS = "ai.usage.tokens";
    AI_USAGE_OUTPUT_TOKENS = "ai.usage.outputTokens";
    AI_USAGE_COMPLETION_TOKENS = "ai.usage.completionTokens";
}

names! {
    "Other frameworks: Pydantic AI and Logfire, LangSmith, Langfuse, Spring AI, Haystack, Google ADK, Microsoft":
    PYDANTIC_AGENT_NAME = "agent_name";
    LOGFIRE_SPAN_TYPE = "logfire.span_type";
    LOGFIRE_MSG_TEMPLATE = "logfire.msg_template";
    LOGFIRE_MSG = "logfire.msg";
    LOGFIRE_NAME = "name";
    LOGFIRE_FROM_AGENT = "from_agent";
    LOGFIRE_TO_AGENT = "to_agent";
    LOGFIRE_TRIGGERED = "triggered";
    AG2_LINK_KIND = "ag2.link.kind";
    LANGSMITH_SPAN_KIND = "langsmith.span.kind";
    LANGFUSE_OBSERVATION_LEVEL = "langfuse.observation.level";
    LANGFUSE_OBSERVATION_MODEL_NAME = "langfuse.observation.model.name";
    SPRING_AI_TOOL_NAME = "spring.ai.tool.definition.name";
    HAYSTACK_TOOL_NAME = "haystack.tool.name";
    HAYSTACK_TOOL_ERROR = "haystack.tool.error";
    HAYSTACK_COMPONENT_NAME = "haystack.component.name";
    GCP_VERTEX_AGENT_TOOL_CALL_ARGS = "gcp.vertex.agent.tool_call_args";
    OPERATION_COST = "operation.cost";
    SPRING_AI_KIND = "spring.ai.kind";
    MASTRA_SPAN_TYPE = "mastra.span.type";
    MASTRA_MCP_SERVER_NAME = "mastra.mcp_tool_call.server_name";
    LANGFUSE_OBSERVATION_TYPE = "langfuse.observation.type";
    MLFLOW_SPAN_TYPE = "mlflow.spanType";
    AG2_SPAN_TYPE = "ag2.span.type";
    HAYSTACK_COMPONENT_TYPE = "haystack.component.type";
    EXECUTOR_TYPE = "executor.type";
    EXECUTOR_ID = "executor.id";
    WORKFLOW_NAME = "workflow.name";
    WORKFLOW_ID = "workflow.id";
    A2A_TASK_STATE = "a2a.task.state";
    A2A_METHOD_NAME = "a2a.method.name";
}

names! {
    "OpenTelemetry general conventions, new name before old":
    ERROR_TYPE = "error.type";
    EXCEPTION_TYPE = "exception.type";
    HTTP_REQUEST_METHOD = "http.request.method";
    HTTP_RESPONSE_STATUS_CODE = "http.response.status_code";
    HTTP_STATUS_CODE = "http.status_code";
    SERVER_ADDRESS = "server.address";
    NET_PEER_NAME = "net.peer.name";
    SERVER_PORT = "server.port";
    NET_PEER_PORT = "net.peer.port";
    SERVICE_PEER_NAME = "service.peer.name";
    PEER_SERVICE = "peer.service";
    URL_FULL = "url.full";
    HTTP_URL = "http.url";
    URL_PATH = "url.path";
    HTTP_TARGET = "http.target";
    HTTP_ROUTE = "http.route";
    HTTP_HOST = "http.host";
    NETWORK_PEER_ADDRESS = "network.peer.address";
    NET_SOCK_PEER_ADDR = "net.sock.peer.addr";
    NET_PEER_IP = "net.peer.ip";
    RPC_SERVICE = "rpc.service";
    FAAS_INVOKED_NAME = "faas.invoked_name";
    DB_SYSTEM_NAME = "db.system.name";
    DB_SYSTEM = "db.system";
    DB_NAMESPACE = "db.namespace";
    DB_NAME = "db.name";
    DB_COLLECTION_NAME = "db.collection.name";
    DB_SQL_TABLE = "db.sql.table";
    DB_OPERATION_NAME = "db.operation.name";
    DB_OPERATION = "db.operation";
    DB_QUERY_TEXT = "db.query.text";
    DB_STATEMENT = "db.statement";
    MESSAGING_SYSTEM = "messaging.system";
    MESSAGING_DESTINATION_NAME = "messaging.destination.name";
    MESSAGING_DESTINATION = "messaging.destination";
    MESSAGING_DESTINATION_TEMPLATE = "messaging.destination.template";
    MESSAGING_DESTINATION_TEMPORARY = "messaging.destination.temporary";
    MESSAGING_DESTINATION_ANONYMOUS = "messaging.destination.anonymous";
    MESSAGING_OPERATION_TYPE = "messaging.operation.type";
    MESSAGING_OPERATION = "messaging.operation";
    MCP_METHOD_NAME = "mcp.method.name";
}

names! {
    "Ours: what the guard adds to spans (R-STR-5)":
    AGENTGUARD_NODE_ID = "agentguard.node.id";
    AGENTGUARD_NODE_KIND = "agentguard.node.kind";
    AGENTGUARD_RISK_SCORE = "agentguard.risk.score";
    AGENTGUARD_SPOF = "agentguard.spof";
    AGENTGUARD_BLAST_RADIUS = "agentguard.blast_radius";
}

/// All that the guard adds to a span that bears a node: who it is (text), and what is known of it: risk from 0 to 10
/// (double), whether it is a single point of failure (bool), and the share of the traffic that stops with it (double).
pub const AGENTGUARD_SPAN_KEYS: [&str; 5] = [
    AGENTGUARD_NODE_ID,
    AGENTGUARD_NODE_KIND,
    AGENTGUARD_RISK_SCORE,
    AGENTGUARD_SPOF,
    AGENTGUARD_BLAST_RADIUS,
];

names! {
    "Ours: the names of events":
    EVENT_NODE_DISCOVERED = "agentguard.node.discovered";
    EVENT_EDGE_DISCOVERED = "agentguard.edge.discovered";
    EVENT_SPOF_DETECTED = "agentguard.spof.detected";
    EVENT_CYCLE_DETECTED = "agentguard.cycle.detected";
}

names! {
    "Ours: what events say, besides the node's id and kind":
    AGENTGUARD_REALM = "agentguard.realm";
    AGENTGUARD_EVIDENCE = "agentguard.evidence";
    AGENTGUARD_NODE_NAME = "agentguard.node.name";
    AGENTGUARD_EDGE_KIND = "agentguard.edge.kind";
    AGENTGUARD_EDGE_FROM_ID = "agentguard.edge.from.id";
    AGENTGUARD_EDGE_FROM_KIND = "agentguard.edge.from.kind";
    AGENTGUARD_EDGE_FROM_NAME = "agentguard.edge.from.name";
    AGENTGUARD_EDGE_TO_ID = "agentguard.edge.to.id";
    AGENTGUARD_EDGE_TO_KIND = "agentguard.edge.to.kind";
    AGENTGUARD_EDGE_TO_NAME = "agentguard.edge.to.name";
    AGENTGUARD_SPOF_SHARE = "agentguard.spof.share";
    AGENTGUARD_SPOF_PROVEN = "agentguard.spof.proven";
    AGENTGUARD_DEPENDENTS_DIRECT = "agentguard.dependents.direct";
    AGENTGUARD_DEPENDENTS_TRANSITIVE = "agentguard.dependents.transitive";
    AGENTGUARD_CYCLE_SIZE = "agentguard.cycle.size";
    AGENTGUARD_CYCLE_NODES = "agentguard.cycle.nodes";
    AGENTGUARD_EVENTS_SUPPRESSED = "agentguard.events.suppressed";
}
