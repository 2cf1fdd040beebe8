//! Commits to a Delta table, in rounds of plan, attempt and outcome.
//!
//! A table's log is a folder of numbered files: `00000000000000000007.json` is the commit of version 7 and lists the data
//! files that it adds and removes. A commit is made by creating the file of the next version on condition that it does
//! not exist yet. The storage lets at most one writer succeed, so the log is a sequence of compare-and-swap operations.
//!
//! A [`change::Change`] (append rows, remove rows, compact files, set positions) is committed in rounds:
//!
//! 1. **Plan.** With the table at version N, the change decides what to commit and writes its data files. Nobody reads
//!    them yet, since no commit names them.
//! 2. **Attempt.** The commit is sent as version N + 1, and never as a later one. What the plan relied on (a key that is
//!    absent, a file that is present) therefore still holds if the commit succeeds.
//! 3. **Outcome.** *Committed*: the change is done. *Conflicted*: another writer has committed version N + 1; the table is
//!    brought to its latest version, and the next round plans again. *Unknown*: see below.
//!
//! The positions of the Kafka partitions are part of the same commit as their rows, as `txn` actions: the table has
//! either both or neither. So each row is in the table exactly once, although messages are delivered at least once.
//!
//! # A commit whose outcome is unknown
//!
//! A request can fail although the storage has executed it, or will: the response was lost, or the request is still on
//! its way. Then the writer does not know whether its commit is in the log. Planning again at once could report added rows
//! as skipped, and delete data files that the delayed request names.
//!
//! Two facts decide it. An attempt has a fixed version, which is written at most once; and it carries a random id in its
//! own log entry (`xactCommitId`). So the log entry of that version is read:
//!
//! | log entry of the version | outcome |
//! |---|---|
//! | has the id of the attempt | committed |
//! | has another id, or none | conflicted: the attempt is not in the log and can never be, since its version is taken |
//! | does not exist | unknown: the request may still arrive |
//!
//! While the outcome is unknown, the same commit is sent again: the same version, id and actions. Whichever copy arrives
//! first, the log has one of them. Within this call, no plan is made and no data file is deleted until the outcome is
//! known. If the storage stays unavailable, the caller gets an error and keeps its rows. Repeating the append is safe: either
//! the repeat loads a table that has the rows, and the lookup finds their keys, or it plans for the same version, which at
//! most one of the two commits can get.
//!
//! Where things are:
//!
//! - `change`: what a kind of change provides, and what a commit contains
//! - `transaction`: the rounds
//! - `attempt`: one commit at one version; writes the log entry, and reads from the log what became of it
//! - `checkpoint`: writes a checkpoint when enough commits have passed
//! - `positions`: reads and sets the positions of sources

pub(crate) mod attempt;
pub(crate) mod change;
mod checkpoint;
mod positions;
pub(crate) mod transaction;
