//! Uncommitted blocks: one hidden file each, in a folder for their blob.

use std::io;

use super::commit::Part;
use super::conditions::Conditions;
use super::folders::{open_file, open_folder, open_or_make_folder};
use super::{Block, Draft, Entry, EntryPath, IfFound, Properties, Storage, StoreError, upload_key};

/// Where a block of a block list comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockSource {
    /// From the blob as it is.
    Committed,
    /// From the uncommitted blocks.
    Uncommitted,
    /// From the uncommitted blocks, else from the blob.
    Latest,
}

/// A line of a block list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockRef {
    pub(crate) source: BlockSource,
    /// In base64.
    pub(crate) id: String,
}

impl Storage {
    /// Stages a block, and replaces one with the same id.
    pub(crate) fn put_block(&self, path: &EntryPath, id: &str, draft: &Draft) -> Result<(), StoreError> {
        let key = upload_key(path);
        let _upload = self.uploads_to(&key);
        if self
            .stat(path)
            .if_found()?
            .is_some_and(|(_, properties)| properties.by_dfs)
        {
            return Err(StoreError::WrittenByDfs);
        }
        let folder = open_or_make_folder(&self.blocks, &[key])?;
        Ok(draft.move_to(&folder, &hex::encode(id))?)
    }

    /// Returns the uncommitted blocks, sorted by id.
    pub(crate) fn uncommitted(&self, path: &EntryPath) -> Result<Vec<Block>, StoreError> {
        let Some(folder) = open_folder(&self.blocks, &[upload_key(path)]).if_found()? else {
            return Ok(Vec::new());
        };
        let mut blocks = Vec::new();
        for entry in folder.entries()? {
            let entry = entry?;
            let id = hex::decode(entry.file_name().as_encoded_bytes()).ok();
            if let Some(id) = id.and_then(|id| String::from_utf8(id).ok()) {
                let size = entry.metadata()?.len();
                blocks.push(Block { id, size });
            }
        }
        blocks.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(blocks)
    }

    /// Replaces the blob by the listed blocks, in their order, and discards all others.
    pub(crate) fn put_block_list(
        &self,
        path: &EntryPath,
        list: &[BlockRef],
        conditions: &Conditions,
        properties: Properties,
    ) -> Result<Entry, StoreError> {
        let key = upload_key(path);
        let _upload = self.uploads_to(&key);
        let (current, committed) = match self.read(path).if_found()? {
            Some((_, record, _)) if record.by_dfs => return Err(StoreError::WrittenByDfs),
            Some((_, record, file)) => (file, record.blocks),
            None => (None, Vec::new()),
        };
        let mut blocks = Vec::with_capacity(list.len());
        let mut parts = Vec::with_capacity(list.len());
        let uncommitted = self.uncommitted(path)?;
        for BlockRef { source, id } in list {
            let put = uncommitted.iter().find(|block| block.id == *id);
            if let Some(block) = put.filter(|_| *source != BlockSource::Committed) {
                blocks.push(block.clone());
                parts.push((None, block.size, id));
                continue;
            }
            let mut offset = 0;
            let kept = committed.iter().find_map(|block| {
                let at = offset;
                offset += block.size;
                (block.id == *id && *source != BlockSource::Uncommitted).then(|| (at, block.clone()))
            });
            let (at, block) = kept.ok_or(StoreError::UnknownBlock)?;
            parts.push((Some(at), block.size, id));
            blocks.push(block);
        }
        let folder = open_or_make_folder(&self.blocks, std::slice::from_ref(&key))?;
        // Opened one at a time: a list may have 50,000 blocks, more than a process has descriptors.
        let draft = self.joined(parts.into_iter().map(|(kept, length, id)| match (kept, &current) {
            (Some(offset), Some(file)) => Ok(Part {
                from: file.try_clone()?,
                offset,
                length,
            }),
            (Some(_), None) => Err(io::ErrorKind::NotFound.into()),
            (None, _) => Ok(Part::whole(open_file(&folder, &hex::encode(id))?, length)),
        }))?;
        let entry = self.put_at(path, &draft, conditions, None, |_| Properties { blocks, ..properties })?;
        self.forget_blocks(&key)?;
        self.forget_appends(&key)?;
        Ok(entry)
    }

    /// Discards the blocks of a blob.
    pub(super) fn forget_blocks(&self, key: &str) -> Result<(), StoreError> {
        Ok(self.blocks.remove_dir_all(key).if_found().map(drop)?)
    }
}
