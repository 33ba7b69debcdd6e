#!/usr/bin/env python3
"""A SageMaker pipeline of the three jobs: raw files are loaded, and the shards are split in two ways.

    loader ─┬─▶ tabular     by class
            └─▶ temporal    by customer and date

usage: python processing_step.py IMAGE ROLE BUCKET RAW          prints the pipeline's definition
       python processing_step.py IMAGE ROLE BUCKET RAW --start  creates or updates the pipeline, and starts it

IMAGE is the URI of the image in ECR, ROLE the ARN of the execution role, RAW the S3 prefix of the raw files.
Needs the sagemaker SDK, version 2 (tested with 2.257.7).
"""
import argparse

from sagemaker.processing import ProcessingInput, ProcessingOutput, Processor
from sagemaker.workflow.execution_variables import ExecutionVariables
from sagemaker.workflow.functions import Join
from sagemaker.workflow.parameters import ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.steps import ProcessingStep

# Where SageMaker puts the files in the container, and takes them from: the defaults of `twopass job`.
INPUT, OUTPUT = "/opt/ml/processing/input", "/opt/ml/processing/output"


def step(name, job, env, inputs, outputs, args, session, instance_type="ml.m5.2xlarge", memory="24GiB", disk=200):
    """One job. `inputs` are S3 prefixes by directory below INPUT; `outputs` are directories below OUTPUT, '' is all of it."""
    processor = Processor(
        image_uri=args.image,
        role=args.role,
        # One machine: a job that is given several is refused.
        instance_count=1,
        instance_type=instance_type,
        # For the raw files, the output, and the state beside it.
        volume_size_in_gb=disk,
        max_runtime_in_seconds=6 * 3600,
        entrypoint=["/usr/local/bin/twopass", "job", job],
        # Strings, 100 at most. What is not set has its default.
        env=env,
        sagemaker_session=session,
    )
    arguments = processor.run(
        inputs=[
            ProcessingInput(input_name=directory, source=source, destination=f"{INPUT}/{directory}")
            for directory, source in inputs.items()
        ],
        outputs=[
            ProcessingOutput(
                output_name=directory or "output",
                source=f"{OUTPUT}/{directory}".rstrip("/"),
                destination=prefix(args, name, directory),
                # What is uploaded is whole: files have their names when all of them are complete.
                s3_upload_mode="EndOfJob",
            )
            for directory in outputs
        ],
        # As the scripts are called. The ceiling of memory is the instance's, less what the system needs.
        arguments=["--job_type", "training", "--memory", memory],
    )
    return ProcessingStep(name=name, step_args=arguments)


def prefix(args, *names):
    """A prefix of this execution: one that has the parts of an earlier one would keep those that the new one has not."""
    names = [name for name in names if name]
    return Join(on="/", values=["s3:/", args.bucket, "twopass", ExecutionVariables.PIPELINE_EXECUTION_ID, *names])


def output_of(step, name):
    """The S3 prefix of an output of a step. Who uses it comes after the step."""
    return step.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri


def pipeline(args, session):
    label = ParameterString(name="LabelField", default_value="label")
    split_date = ParameterString(name="SplitDate", default_value="2024-11-01")
    loader = step(
        "loader",
        "dummy-data-loading",
        env={"WRITE_DATA_SHARDS": "true", "SHARD_SIZE": "100000", "OUTPUT_FORMAT": "PARQUET", "METADATA_FORMAT": "MODS"},
        inputs={"data": args.raw},
        outputs=["data", "signature", "metadata"],
        args=args,
        session=session,
    )
    shards = {"data": output_of(loader, "data"), "signature": output_of(loader, "signature")}
    tabular = step(
        "tabular",
        "tabular-preprocessing",
        env={
            "LABEL_FIELD": label,
            "TRAIN_RATIO": "0.7",
            "TEST_VAL_RATIO": "0.5",
            "OUTPUT_FORMAT": "PARQUET",
            "ENABLE_TRUE_STREAMING": "true",
            "SHARD_SIZE": "100000",
        },
        inputs=shards,
        outputs=[""],
        args=args,
        session=session,
    )
    temporal = step(
        "temporal",
        "temporal-split-preprocessing",
        env={
            "DATE_COLUMN": "order_date",
            "GROUP_ID_COLUMN": "customer_id",
            "SPLIT_DATE": split_date,
            "TRAIN_RATIO": "0.9",
            "LABEL_FIELD": label,
            "OUTPUT_FORMAT": "PARQUET",
            # The default is 4.
            "MAX_WORKERS": "0",
        },
        inputs=shards,
        outputs=["training_data", "oot_data"],
        args=args,
        session=session,
    )
    return Pipeline(
        name="twopass-preprocessing",
        parameters=[label, split_date],
        steps=[loader, tabular, temporal],
        sagemaker_session=session,
    )


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("image")
    args.add_argument("role")
    args.add_argument("bucket")
    args.add_argument("raw")
    args.add_argument("--start", action="store_true")
    args = args.parse_args()
    made = pipeline(args, PipelineSession(default_bucket=args.bucket))
    if not args.start:
        return print(made.definition())
    made.upsert(role_arn=args.role)
    print(made.start().arn)


if __name__ == "__main__":
    main()
