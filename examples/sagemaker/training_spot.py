#!/usr/bin/env python3
"""A job on spot instances, as a SageMaker Training job that keeps its state in /opt/ml/checkpoints.

usage: python training_spot.py IMAGE ROLE BUCKET SHARDS          prints the request
       python training_spot.py IMAGE ROLE BUCKET SHARDS --start  starts the job and waits for it

IMAGE is the URI of the image in ECR, ROLE the ARN of the execution role, SHARDS the S3 prefix of the shards.
Needs the sagemaker SDK, version 2 (tested with 2.257.7).
"""
import argparse
import json

from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.session import Session

HOUR = 3600


def estimator(args, session):
    return Estimator(
        image_uri=args.image,
        role=args.role,
        instance_count=1,
        instance_type="ml.m5.2xlarge",
        volume_size=200,
        # A Training job calls an image with the one argument `train`, unless the entry point is said.
        container_entry_point=["/usr/local/bin/twopass", "job", "tabular-preprocessing"],
        container_arguments=[
            # A Training job has other directories than a Processing job.
            *("--job_type", "training"),
            *("--input-data", "/opt/ml/input/data/shards"),
            *("--output", "/opt/ml/model"),
            *("--memory", "24GiB"),
        ],
        environment={
            "LABEL_FIELD": "label",
            "TRAIN_RATIO": "0.7",
            "OUTPUT_FORMAT": "PARQUET",
            "ENABLE_TRUE_STREAMING": "true",
        },
        # The state: uploaded as it grows, and brought back when the job starts again. One prefix for each job.
        checkpoint_s3_uri=f"s3://{args.bucket}/twopass/checkpoints/{args.name}",
        checkpoint_local_path="/opt/ml/checkpoints",
        use_spot_instances=True,
        max_run=6 * HOUR,
        # Running and waiting for a machine, together.
        max_wait=24 * HOUR,
        output_path=f"s3://{args.bucket}/twopass/output",
        # The files of /opt/ml/model one by one, not as model.tar.gz.
        disable_output_compression=True,
        disable_profiler=True,
        debugger_hook_config=False,
        sagemaker_session=session,
    )


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("image")
    args.add_argument("role")
    args.add_argument("bucket")
    args.add_argument("shards")
    args.add_argument("--name", default="tabular", help="what the checkpoints are kept under")
    args.add_argument("--start", action="store_true")
    args = args.parse_args()
    session = Session(default_bucket=args.bucket)
    job = estimator(args, session)
    inputs = {"shards": TrainingInput(args.shards, s3_data_type="S3Prefix", input_mode="File")}
    if args.start:
        return job.fit(inputs)
    print(json.dumps(request(job, inputs, session), indent=2))


def request(job, inputs, session):
    """What `fit` would ask of the service."""
    from sagemaker.estimator import _TrainingJob

    job._prepare_for_training()
    return session._get_train_request(**_TrainingJob._get_train_args(job, inputs, None))


if __name__ == "__main__":
    main()
