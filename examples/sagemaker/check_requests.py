#!/usr/bin/env python3
"""Makes the requests of processing_step.py and training_spot.py without a connection, and holds them against botocore's model of the service.

usage: python check_requests.py        needs the sagemaker SDK, version 2; check.sh calls it
"""
import argparse, json, os, warnings

os.environ.update(AWS_DEFAULT_REGION="us-east-1", AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none", SAGEMAKER_SUPPRESS_V2_WARNING="1")
warnings.simplefilter("ignore")

import boto3
from botocore.validate import ParamValidator
from sagemaker.inputs import TrainingInput
from sagemaker.session import Session
from sagemaker.workflow.pipeline_context import PipelineSession

import processing_step
import training_spot

ARGS = argparse.Namespace(
    image="111122223333.dkr.ecr.us-east-1.amazonaws.com/twopass:1",
    role="arn:aws:iam::111122223333:role/sagemaker",
    bucket="bucket",
    raw="s3://bucket/raw",
    name="tabular",
)


def check(operation, request):
    model = boto3.client("sagemaker").meta.service_model
    report = ParamValidator().validate(request, model.operation_model(operation).input_shape)
    assert not report.has_errors(), f"{operation}: {report.generate_report()}"


def settled(value):
    """What is known only when the pipeline runs, as some text."""
    if isinstance(value, dict):
        if set(value) == {"Get"} or "Std:Join" in value: return "s3://bucket/prefix"
        return {key: settled(inner) for key, inner in value.items()}
    return [settled(inner) for inner in value] if isinstance(value, list) else value


definition = json.loads(processing_step.pipeline(ARGS, PipelineSession(default_bucket="bucket")).definition())
steps = {step["Name"]: step for step in definition["Steps"]}
assert list(steps) == ["loader", "tabular", "temporal"], list(steps)
for name, step in steps.items():
    check("CreateProcessingJob", {**settled(step["Arguments"]), "ProcessingJobName": name})
    assert ("Steps.loader." in json.dumps(step)) == (name != "loader"), f"{name} is to come after the loader"

session = Session(default_bucket="bucket")
inputs = {"shards": TrainingInput("s3://bucket/shards", s3_data_type="S3Prefix", input_mode="File")}
request = training_spot.request(training_spot.estimator(ARGS, session), inputs, session)
check("CreateTrainingJob", request)
assert request["EnableManagedSpotTraining"] and request["CheckpointConfig"]["LocalPath"] == "/opt/ml/checkpoints"
