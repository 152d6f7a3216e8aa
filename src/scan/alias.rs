//! The alias table: which attribute says what, and which spelling wins (R-ASK-13: it is data).
//!
//! A [`Slot`] is one thing that a span may say; a key fills one slot with a rank, and of several keys present the one
//! with the lowest rank counts. The order within a slot is that of `span-conventions` §4 and §8.

use crate::otlp::semconv as s;
use crate::scan::lookup::Lookup;
use std::sync::LazyLock;

/// What an attribute says. Texts come first, then numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Slot {
    // ── texts ──
    Operation,
    OiKind,
    TlKind,
    AiOperation,
    LangsmithKind,
    LogfireType,
    AgentName,
    OiAgentName,
    GraphNodeId,
    GraphNodeName,
    GraphParent,
    EntityName,
    VendorAgentName,
    FunctionId,
    AgentId,
    AgentRole,
    CallerName,
    HandoffFrom,
    HandoffTo,
    TransferMode,
    Workflow,
    CrewName,
    OtherWorkflow,
    CrewKey,
    ToolName,
    OiToolName,
    ToolType,
    Arguments,
    Output,
    Model,
    Provider,
    LlmProvider,
    AiProvider,
    System,
    DecisionProvider,
    LlmSystem,
    Host,
    ResponseId,
    DataSource,
    MemoryStore,
    Guardrail,
    HostedGuardrail,
    ErrorType,
    GuardrailVerdict,
    ToolStatus,
    TaskStatus,
    LangfuseLevel,
    McpMethod,
    McpServerName,
    A2aMethod,
    Peer,
    Url,
    UrlPath,
    OtherPeer,
    DbSystem,
    DbNamespace,
    DbCollection,
    DbStatement,
    MessagingSystem,
    Destination,
    MessagingOperation,
    SpringKind,
    MastraType,
    LangfuseType,
    MlflowType,
    Ag2Type,
    HaystackType,
    ExecutorType,
    TaskName,
    Metadata,
    TaskState,
    // ── numbers ──
    CostTotal,
    CostIn,
    CostOut,
    CostCacheRead,
    CostCacheWrite,
    Port,
    IsTemporary,
    TokensIn,
    TokensOut,
    HttpStatus,
    GuardrailTriggered,
    ToolSuccess,
    ToolError,
    FinishReasons,
    /// An attribute that we add ourselves.
    Ours,
}

/// How many slots hold texts.
pub(crate) const TEXTS: usize = Slot::TaskState as usize + 1;
/// How many there are.
pub(crate) const SLOTS: usize = Slot::Ours as usize + 1;

/// Keys by slot, the one that wins first.
pub(super) const ALIASES: &[(Slot, &[&str])] = &[
    (Slot::Operation, &[s::GEN_AI_OPERATION_NAME]),
    (Slot::OiKind, &[s::OPENINFERENCE_SPAN_KIND]),
    (Slot::TlKind, &[s::TRACELOOP_SPAN_KIND]),
    (Slot::AiOperation, &[s::AI_OPERATION_ID]),
    (Slot::LangsmithKind, &[s::LANGSMITH_SPAN_KIND]),
    (Slot::LogfireType, &[s::LOGFIRE_SPAN_TYPE]),
    (Slot::AgentName, &[s::GEN_AI_AGENT_NAME]),
    (Slot::OiAgentName, &[s::AGENT_NAME]),
    (Slot::GraphNodeId, &[s::GRAPH_NODE_ID]),
    (Slot::GraphNodeName, &[s::GRAPH_NODE_NAME]),
    (
        Slot::GraphParent,
        &[s::GEN_AI_AGENT_HANDOFF_PARENT, s::GRAPH_NODE_PARENT_ID],
    ),
    (Slot::Output, &[s::OUTPUT_VALUE, s::TRACELOOP_ENTITY_OUTPUT]),
    (Slot::HostedGuardrail, &[s::AWS_BEDROCK_GUARDRAIL_ID]),
    (Slot::EntityName, &[s::TRACELOOP_ENTITY_NAME]),
    (
        Slot::VendorAgentName,
        &[
            s::PYDANTIC_AGENT_NAME,
            s::HAYSTACK_COMPONENT_NAME,
            s::EXECUTOR_ID,
        ],
    ),
    (Slot::FunctionId, &[s::AI_TELEMETRY_FUNCTION_ID]),
    (Slot::AgentId, &[s::GEN_AI_AGENT_ID]),
    (Slot::AgentRole, &[s::TOOL_AGENT_ROLE]),
    (Slot::CallerName, &[s::GEN_AI_CALLER_NAME]),
    (
        Slot::HandoffFrom,
        &[
            s::GEN_AI_HANDOFF_FROM_AGENT,
            s::GEN_AI_AGENT_HANDOFF_SOURCE_NAME,
        ],
    ),
    (
        Slot::HandoffTo,
        &[
            s::GEN_AI_HANDOFF_TO_AGENT,
            s::GEN_AI_TRANSFER_TARGET_NAME,
            s::GEN_AI_AGENT_HANDOFF_TARGET_NAME,
        ],
    ),
    (Slot::TransferMode, &[s::GEN_AI_TRANSFER_MODE]),
    (
        Slot::Workflow,
        &[s::GEN_AI_WORKFLOW_NAME, s::TRACELOOP_WORKFLOW_NAME],
    ),
    (Slot::CrewName, &[s::CREWAI_CREW_NAME]),
    (Slot::OtherWorkflow, &[s::WORKFLOW_NAME, s::WORKFLOW_ID]),
    (Slot::CrewKey, &[s::CREW_KEY, s::CREW_ID]),
    (
        Slot::ToolName,
        &[
            s::GEN_AI_TOOL_NAME,
            s::AI_TOOL_CALL_NAME,
            s::SPRING_AI_TOOL_NAME,
            s::HAYSTACK_TOOL_NAME,
        ],
    ),
    (Slot::OiToolName, &[s::TOOL_NAME]),
    (Slot::ToolType, &[s::GEN_AI_TOOL_TYPE]),
    (
        Slot::Arguments,
        &[
            s::GEN_AI_TOOL_CALL_ARGUMENTS,
            s::INPUT_VALUE,
            s::TRACELOOP_ENTITY_INPUT,
            s::GCP_VERTEX_AGENT_TOOL_CALL_ARGS,
            s::TOOL_PARAMETERS,
        ],
    ),
    (
        Slot::Model,
        &[
            s::GEN_AI_REQUEST_MODEL,
            s::LLM_REQUEST_MODEL_NAME,
            s::AI_MODEL_ID,
            s::EMBEDDING_MODEL_NAME,
            s::RERANKER_MODEL_NAME,
            s::DECISION_REQUEST_MODEL_NAME,
            s::LANGFUSE_OBSERVATION_MODEL_NAME,
            s::LLM_MODEL_NAME,
            s::DECISION_MODEL_NAME,
            s::GEN_AI_RESPONSE_MODEL,
            s::LLM_RESPONSE_MODEL_NAME,
            s::AI_RESPONSE_MODEL,
        ],
    ),
    (Slot::Provider, &[s::GEN_AI_PROVIDER_NAME]),
    (Slot::LlmProvider, &[s::LLM_PROVIDER]),
    (Slot::AiProvider, &[s::AI_MODEL_PROVIDER]),
    (Slot::System, &[s::GEN_AI_SYSTEM]),
    (Slot::DecisionProvider, &[s::DECISION_PROVIDER]),
    (Slot::LlmSystem, &[s::LLM_SYSTEM]),
    (Slot::Host, &[s::SERVER_ADDRESS, s::NET_PEER_NAME]),
    (Slot::ResponseId, &[s::GEN_AI_RESPONSE_ID]),
    (Slot::DataSource, &[s::GEN_AI_DATA_SOURCE_ID]),
    (Slot::MemoryStore, &[s::GEN_AI_MEMORY_STORE_ID]),
    (
        Slot::Guardrail,
        &[
            s::GEN_AI_GUARDRAIL_NAME,
            s::GEN_AI_GUARDRAIL_COMPONENT_NAME,
            s::GUARDRAIL_NAME,
        ],
    ),
    (Slot::ErrorType, &[s::ERROR_TYPE, s::EXCEPTION_TYPE]),
    (
        Slot::GuardrailVerdict,
        &[
            s::GEN_AI_GUARDRAIL_VERDICT_TYPE,
            s::GEN_AI_GUARDRAIL_RESULT_VALUE,
            s::GUARDRAIL_STATUS,
        ],
    ),
    (Slot::ToolStatus, &[s::GEN_AI_TOOL_STATUS]),
    (Slot::TaskStatus, &[s::GEN_AI_TASK_STATUS]),
    (Slot::LangfuseLevel, &[s::LANGFUSE_OBSERVATION_LEVEL]),
    (Slot::McpMethod, &[s::MCP_METHOD_NAME]),
    (Slot::McpServerName, &[s::MASTRA_MCP_SERVER_NAME]),
    (Slot::A2aMethod, &[s::A2A_METHOD_NAME]),
    (Slot::Peer, &[s::SERVICE_PEER_NAME, s::PEER_SERVICE]),
    (Slot::Url, &[s::URL_FULL, s::HTTP_URL]),
    (Slot::UrlPath, &[s::URL_PATH, s::HTTP_TARGET, s::HTTP_ROUTE]),
    (
        Slot::OtherPeer,
        &[
            s::HTTP_HOST,
            s::NETWORK_PEER_ADDRESS,
            s::NET_SOCK_PEER_ADDR,
            s::NET_PEER_IP,
            s::RPC_SERVICE,
            s::FAAS_INVOKED_NAME,
        ],
    ),
    (Slot::DbSystem, &[s::DB_SYSTEM_NAME, s::DB_SYSTEM]),
    (Slot::DbNamespace, &[s::DB_NAMESPACE, s::DB_NAME]),
    (
        Slot::DbCollection,
        &[s::DB_COLLECTION_NAME, s::DB_SQL_TABLE],
    ),
    (
        Slot::DbStatement,
        &[
            s::DB_OPERATION_NAME,
            s::DB_OPERATION,
            s::DB_QUERY_TEXT,
            s::DB_STATEMENT,
        ],
    ),
    (Slot::MessagingSystem, &[s::MESSAGING_SYSTEM]),
    (
        Slot::Destination,
        &[
            s::MESSAGING_DESTINATION_NAME,
            s::MESSAGING_DESTINATION,
            s::MESSAGING_DESTINATION_TEMPLATE,
        ],
    ),
    (
        Slot::MessagingOperation,
        &[s::MESSAGING_OPERATION_TYPE, s::MESSAGING_OPERATION],
    ),
    (Slot::SpringKind, &[s::SPRING_AI_KIND]),
    (Slot::MastraType, &[s::MASTRA_SPAN_TYPE]),
    (Slot::LangfuseType, &[s::LANGFUSE_OBSERVATION_TYPE]),
    (Slot::MlflowType, &[s::MLFLOW_SPAN_TYPE]),
    (Slot::Ag2Type, &[s::AG2_SPAN_TYPE]),
    (Slot::HaystackType, &[s::HAYSTACK_COMPONENT_TYPE]),
    (Slot::ExecutorType, &[s::EXECUTOR_TYPE]),
    (Slot::TaskName, &[s::GEN_AI_TASK_NAME]),
    (Slot::Metadata, &[s::METADATA]),
    (Slot::TaskState, &[s::A2A_TASK_STATE]),
    (
        Slot::CostTotal,
        &[
            s::LLM_COST_TOTAL,
            s::GEN_AI_USAGE_COST,
            s::OPERATION_COST,
            s::GEN_AI_COST_TOTAL_COST,
        ],
    ),
    (
        Slot::CostIn,
        &[s::LLM_COST_PROMPT, s::GEN_AI_COST_INPUT_COST],
    ),
    (
        Slot::CostOut,
        &[s::LLM_COST_COMPLETION, s::GEN_AI_COST_OUTPUT_COST],
    ),
    (Slot::CostCacheRead, &[s::GEN_AI_COST_CACHE_READ_COST]),
    (Slot::CostCacheWrite, &[s::GEN_AI_COST_CACHE_CREATION_COST]),
    (Slot::Port, &[s::SERVER_PORT, s::NET_PEER_PORT]),
    (
        Slot::IsTemporary,
        &[
            s::MESSAGING_DESTINATION_TEMPORARY,
            s::MESSAGING_DESTINATION_ANONYMOUS,
        ],
    ),
    (
        Slot::TokensIn,
        &[
            s::GEN_AI_USAGE_INPUT_TOKENS,
            s::GEN_AI_USAGE_PROMPT_TOKENS,
            s::LLM_TOKEN_COUNT_PROMPT,
            s::AI_USAGE_INPUT_TOKENS,
            s::AI_USAGE_PROMPT_TOKENS,
            s::AI_USAGE_TOKENS,
            s::LLM_USAGE_PROMPT_TOKENS,
        ],
    ),
    (
        Slot::TokensOut,
        &[
            s::GEN_AI_USAGE_OUTPUT_TOKENS,
            s::GEN_AI_USAGE_COMPLETION_TOKENS,
            s::LLM_TOKEN_COUNT_COMPLETION,
            s::AI_USAGE_OUTPUT_TOKENS,
            s::AI_USAGE_COMPLETION_TOKENS,
            s::LLM_USAGE_COMPLETION_TOKENS,
        ],
    ),
    (
        Slot::HttpStatus,
        &[s::HTTP_RESPONSE_STATUS_CODE, s::HTTP_STATUS_CODE],
    ),
    (Slot::GuardrailTriggered, &[s::GEN_AI_GUARDRAIL_TRIGGERED]),
    (Slot::ToolSuccess, &[s::GEN_AI_TOOL_SUCCESS]),
    (Slot::ToolError, &[s::HAYSTACK_TOOL_ERROR]),
    (Slot::FinishReasons, &[s::GEN_AI_RESPONSE_FINISH_REASONS]),
    (Slot::Ours, &s::AGENTGUARD_SPAN_KEYS),
];

/// Which slot each key fills, and with what rank; 0 wins.
pub(crate) type AliasTable = Lookup<(Slot, u8)>;

/// The built-in aliases, laid out for [`Lookup::find`].
pub(crate) static TABLE: LazyLock<AliasTable> = LazyLock::new(|| {
    let ranked = ALIASES.iter().flat_map(|(slot, keys)| {
        let ranks = 0..;
        keys.iter()
            .zip(ranks)
            .map(|(key, rank)| (*key, (*slot, rank)))
    });
    Lookup::new((Slot::Ours, u8::MAX), ranked)
});

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_alias_is_found_and_no_key_says_two_things() {
        let mut seen = HashSet::new();
        for (slot, keys) in ALIASES {
            for (rank, key) in keys.iter().enumerate() {
                assert!(seen.insert(*key), "{key} twice");
                let (found, found_rank) = TABLE.find(key.as_bytes()).unwrap();
                assert_eq!((found, usize::from(found_rank)), (*slot, rank), "{key}");
            }
        }
    }

    #[test]
    fn other_keys_say_nothing() {
        for key in [
            "",
            "gen_ai.operation.nam",
            "gen_ai.operation.name2",
            "http.rout",
            "x",
        ] {
            assert_eq!(TABLE.find(key.as_bytes()), None, "{key}");
        }
    }
}
