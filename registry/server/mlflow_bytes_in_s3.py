"""The door to S3 by which a server stores files as they are, whatever they are called."""

from mimetypes import guess_type
from typing import Any

from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository


class BytesInS3(S3ArtifactRepository):
    """MLflow's repository, that says of no file that it is encoded."""

    def _upload_file(self, s3_client: Any, local_file: str, bucket: str, key: str) -> None:
        """Store a file as it is: MLflow (3.17) says of `….gz` that it is encoded so, and some clients unpack it."""
        given = {**self._bucket_owner_params, **(self.get_s3_file_upload_extra_args() or {})}
        if kind := guess_type(local_file)[0]:
            given = {"ContentType": kind, **given}
        s3_client.upload_file(Filename=local_file, Bucket=bucket, Key=key, ExtraArgs=given)
