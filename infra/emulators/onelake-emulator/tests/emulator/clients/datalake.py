"""Uses the emulator through Microsoft's client for Data Lake Storage: `datalake.py URL key|token [CA]`."""

from account import refused, service
from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.filedatalake import ContentSettings, DataLakeServiceClient

workspace = service(DataLakeServiceClient).get_file_system_client("claims")
assert workspace.exists()
FILES = "Lake.Lakehouse/Files"

folder = workspace.create_directory(f"{FILES}/FNOL 2025", metadata={"kind": "folder"})
assert folder.get_directory_properties().metadata["kind"] == "folder"
draft = folder.create_file(".part", metadata={"colour": "red"}, content_settings=ContentSettings(content_type="image/jpeg"))
draft.append_data(b"hello ", 0, 6, validate_content=True)
draft.append_data(b"world", 6, 5)
draft.flush_data(11, close=True)
properties = draft.get_file_properties()
assert (properties.size, properties.metadata, properties.content_settings.content_type) == (11, {"colour": "red"}, "image/jpeg")
assert draft.download_file().readall() == b"hello world"
assert draft.download_file(offset=3, length=4).readall() == b"lo w"

name = f"{FILES}/FNOL 2025/röof #1 100%.jpg"
file = draft.rename_file(f"claims/{name}")
assert file.get_file_properties().metadata == {"colour": "red"}
assert not draft.exists()
refused(ResourceNotFoundError, draft.download_file, "PathNotFound", "BlobNotFound")

other = folder.create_file("other")
replace = lambda: other.rename_file(f"claims/{name}", match_condition=MatchConditions.IfMissing)
refused(ResourceExistsError, replace, "PathAlreadyExists")

# Many pieces, some at a time, then read again in several.
large = bytes(range(256)) * 40_000
file.upload_data(large, overwrite=True, chunk_size=1 << 20, max_concurrency=4)
assert file.download_file(max_concurrency=3).readall() == large
file.set_metadata({"size": "10"})
assert file.get_file_properties().metadata == {"size": "10"}

for number in range(7):
    folder.create_file(f"many/{number}")
paths = [path.name for path in workspace.get_paths(f"{FILES}/FNOL 2025/many", max_results=3)]
assert paths == [f"{FILES}/FNOL 2025/many/{number}" for number in range(7)], paths
top = {path.name: path.is_directory for path in workspace.get_paths("Lake.Lakehouse", recursive=False)}
assert top == {"Lake.Lakehouse/Files": True, "Lake.Lakehouse/Tables": True}, top

moved = folder.rename_directory(f"claims/{FILES}/moved")
assert moved.get_file_client("röof #1 100%.jpg").exists()
moved.delete_directory()
assert not moved.exists()
