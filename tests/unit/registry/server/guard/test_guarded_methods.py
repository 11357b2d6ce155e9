"""Every call of MLflow's stores is sorted: guarded, or allowed for a reason. One that nobody sorted fails here."""

import inspect

import pytest
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository
from mlflow.store.model_registry.abstract_store import AbstractStore as AbstractRegistry
from mlflow.store.tracking.abstract_store import AbstractStore as AbstractTracking
from mlflow.store.workspace.sqlalchemy_store import SqlAlchemyStore as Workspaces

from slipway.registry.server.guard import (
    mlflow_guarded_artifacts,
    mlflow_guarded_registry,
    mlflow_guarded_tracking,
    mlflow_guarded_workspaces,
)

READS = ("get_", "search_", "list_", "find_", "query_", "batch_get_", "download_", "resolve_", "filter_")
# Prompts: each of these calls one of the guarded ones, which leave prompts alone and models not.
PROMPTS = """
copy_model_version create_prompt create_prompt_version delete_prompt delete_prompt_alias delete_prompt_tag
delete_prompt_version delete_prompt_version_tag link_prompt_version_to_model link_prompt_version_to_run
link_prompts_to_trace set_prompt_alias set_prompt_tag set_prompt_version_tag
"""
# Descriptions and webhooks: nothing that serving or a verdict looks at.
REGISTRY = """
create_webhook delete_webhook test_webhook update_model_version update_registered_model update_webhook
"""
# Traces, prompts, judges, gateways, datasets for evaluation: nothing of them is part of a model version.
BESIDE_MODELS = """
add_dataset_to_experiments add_guardrail_to_endpoint add_items_to_review_queue archive_traces attach_model_to_endpoint
calculate_trace_filter_correlation create_assessment create_budget_policy create_dataset create_endpoint_binding
create_gateway_endpoint create_gateway_guardrail create_gateway_model_definition create_gateway_secret create_issue
create_label_schema create_mcp_access_endpoint create_mcp_server create_mcp_server_version create_review_queue
delete_assessment delete_budget_policy delete_dataset delete_dataset_records delete_dataset_tag delete_endpoint_binding
delete_gateway_endpoint delete_gateway_endpoint_tag delete_gateway_guardrail delete_gateway_model_definition
delete_gateway_secret delete_label_schema delete_mcp_access_endpoint delete_mcp_server delete_mcp_server_alias
delete_mcp_server_tag delete_mcp_server_version delete_mcp_server_version_tag delete_review_queue delete_scorer
delete_trace_tag delete_traces detach_model_from_endpoint
get_or_create_user_queue link_mcp_server_versions_to_trace link_traces_to_run log_spans_async
register_scorer remove_dataset_from_experiments remove_guardrail_from_endpoint remove_items_from_review_queue
set_dataset_tags set_gateway_endpoint_tag set_mcp_server_alias set_mcp_server_tag set_mcp_server_version_tag
set_review_queue_item_status sum_gateway_trace_cost unlink_traces_from_run update_assessment
update_budget_policy update_endpoint_guardrail_config update_gateway_endpoint update_gateway_model_definition
update_gateway_secret update_issue update_label_schema update_mcp_access_endpoint update_mcp_server
update_mcp_server_version update_review_queue upsert_dataset_records upsert_online_scoring_config
"""
# What is added to runs, experiments and logged models, or brings them back; names and notes of theirs.
RUNS = """
delete_experiment_tag end_async_logging flush_async_logging log_batch_async log_inputs
log_logged_model_params log_metric log_metric_async log_outputs log_param log_param_async record_logged_model
rename_experiment restore_experiment restore_run sanitize_metric_value set_experiment_tag set_model_versions_tags
set_tag_async shut_down_async_logging update_run_info
"""
ARTIFACTS = "flush_async_logging parse_s3_compliant_uri"
STORES = {
    "registry": (
        mlflow_guarded_registry,
        mlflow_guarded_registry.RegistryGuard,
        [AbstractRegistry],
        PROMPTS + REGISTRY,
    ),
    "tracking": (
        mlflow_guarded_tracking,
        mlflow_guarded_tracking.TrackingGuard,
        [AbstractTracking],
        BESIDE_MODELS + RUNS + "link_prompts_to_trace",
    ),
    "workspaces": (
        mlflow_guarded_workspaces,
        mlflow_guarded_workspaces.GuardedWorkspaces,
        [Workspaces],
        "",
    ),
    "folder": (
        mlflow_guarded_artifacts,
        mlflow_guarded_artifacts.GuardedFolder,
        [LocalArtifactRepository],
        ARTIFACTS,
    ),
    "bucket": (mlflow_guarded_artifacts, mlflow_guarded_artifacts.GuardedBucket, [S3ArtifactRepository], ARTIFACTS),
}


def calls_of(*kinds: type) -> set[str]:
    """Return the names of what can be called from outside."""
    return {name for kind in kinds for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}


@pytest.mark.parametrize("store", STORES)
def test_every_call_is_guarded_or_allowed(store: str):
    """A call that a later MLflow brings has to be looked at by somebody."""
    module, door, kinds, words = STORES[store]
    allowed = set(words.split())
    found = calls_of(*kinds, door)
    assert not module.GUARDED & allowed
    unsorted = {name for name in found - module.GUARDED - allowed if not name.startswith(READS)}
    assert unsorted == set()
    assert allowed <= found or store in ("folder", "bucket"), allowed - found


@pytest.mark.parametrize("store", STORES)
def test_what_is_called_guarded_is_ours(store: str):
    """Each guarded call of the store is defined by the door, not inherited from MLflow."""
    module, door, kinds, _ = STORES[store]
    for name in module.GUARDED & calls_of(*kinds):
        assert getattr(door, name).__module__ == module.__name__, name
