"""Uses the emulator through Microsoft's client for Blob storage: `blob.py URL key|token [CA]`."""

from account import refused, service
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobBlock, BlobServiceClient, ContentSettings

container = service(BlobServiceClient).get_container_client("claims")
assert container.exists()
FILES = "Lake.Lakehouse/Files"

blob = container.get_blob_client(f"{FILES}/a b/röof #1 100%.jpg")
settings = ContentSettings(content_type="image/jpeg", cache_control="no-cache")
blob.upload_blob(b"hello world", metadata={"colour": "red"}, content_settings=settings)
refused(ResourceExistsError, lambda: blob.upload_blob(b"other"), "BlobAlreadyExists")
properties = blob.get_blob_properties()
assert (properties.size, properties.metadata) == (11, {"colour": "red"})
assert (properties.content_settings.content_type, properties.content_settings.cache_control) == ("image/jpeg", "no-cache")
assert blob.download_blob().readall() == b"hello world"
assert blob.download_blob(offset=3, length=4, validate_content=True).readall() == b"lo w"
old = properties.etag
blob.upload_blob(b"new", overwrite=True, validate_content=True)
changed = {"etag": old, "match_condition": MatchConditions.IfNotModified}
refused(ResourceModifiedError, lambda: blob.upload_blob(b"x", overwrite=True, **changed), "ConditionNotMet")

# In blocks, by hand and by the client.
blob.stage_block("a", b"111")
blob.stage_block("b", b"222")
assert [block.id for block in blob.get_block_list("all")[1]] == ["a", "b"]
blob.commit_block_list([BlobBlock("b"), BlobBlock("a")])
assert blob.download_blob().readall() == b"222111"
assert [block.id for block in blob.get_block_list("all")[0]] == ["b", "a"]
refused(HttpResponseError, lambda: blob.commit_block_list([BlobBlock("c")]), "InvalidBlockList")
large = bytes(range(256)) * 40_000
small_blocks = service(BlobServiceClient, max_single_put_size=1 << 20, max_block_size=1 << 20)
small_blocks.get_blob_client("claims", f"{FILES}/large").upload_blob(large, max_concurrency=4)
assert container.download_blob(f"{FILES}/large", max_concurrency=3).readall() == large

copy = container.get_blob_client(f"{FILES}/copy")
assert copy.start_copy_from_url(blob.url)["copy_status"] == "success"
assert copy.download_blob().readall() == b"222111"
blob.set_blob_metadata({"size": "10"})
assert blob.get_blob_properties().metadata == {"size": "10"}

for number in range(7):
    container.upload_blob(f"{FILES}/many/{number}", b"x")
names = [listed.name for listed in container.list_blobs(f"{FILES}/many/", results_per_page=3)]
assert names == [f"{FILES}/many/{number}" for number in range(7)], names
level = sorted(listed.name for listed in container.walk_blobs(f"{FILES}/"))
assert level == [f"{FILES}/a b/", f"{FILES}/copy", f"{FILES}/large", f"{FILES}/many/"], level

# As OneLake does.
refused(HttpResponseError, lambda: container.delete_blobs(f"{FILES}/copy"), "BadRequest")
copy.delete_blob()
refused(ResourceNotFoundError, copy.download_blob, "BlobNotFound")
assert not copy.exists()
