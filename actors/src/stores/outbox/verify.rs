//! The audit over an outbox: all of its entries, as they stood at one moment.

use std::{ops::RangeInclusive, vec};

use evenkeel_core::{
    invariants::{Audit, Merge, Report, TruthRow},
    journal::{Entry, PerStream, Stream},
};

use super::{
    head::GapRow,
    reader::{CHUNK, FILE_CHECK_MAX, Moment, OutboxReader},
};
use crate::ports::history::{Damage, ReadError};

/// What came out.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    /// What was proved, up to the damage if there is any.
    pub(super) report: Report,
    /// What could not be read.
    pub(super) damage: Option<Damage>,
    /// What a reader should know of the proof, in sentences.
    pub(super) notes: Vec<String>,
}

impl Verified {
    fn damaged(report: Report, damage: Damage) -> Self {
        Self { report, damage: Some(damage), notes: Vec::new() }
    }
}

/// Verifies what `reader` shows, against `truth` too when it is given. `progress` is told how many of
/// how many entries have been read, now and then.
///
/// # Errors
/// [`ReadError`], except for damage, which is a result.
pub(super) fn verify(
    reader: &OutboxReader,
    truth: Option<Vec<TruthRow>>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Verified, ReadError> {
    let gap = match reader.gap() {
        Ok(gap) => gap,
        Err(ReadError::Damaged(damage)) => return Ok(Verified::damaged(Report::default(), damage)),
        Err(error) => return Err(error),
    };
    let mut moment = match reader.moment() {
        Ok(moment) => moment,
        Err(ReadError::Damaged(damage)) => {
            return Ok(Verified::damaged(Report::default(), damage));
        }
        Err(error) => return Err(error),
    };
    if let Some(gap) = &gap {
        for stream in Stream::ALL {
            let (first, last) = moment.sequences[stream].clone().into_inner();
            moment.sequences[stream] = first.max(gap.first_seq[stream])..=last;
        }
    }
    let released = std::mem::take(&mut moment.released);
    let begun = begin(reader, &moment)
        .and_then(|audit| reader.texts().map(|_| audit))
        .and_then(|audit| Ok(audit.with_starts(reader.starts()?).with_released(released)));
    let mut audit = match begun {
        Ok(audit) => audit,
        Err(ReadError::Damaged(damage)) => {
            return Ok(Verified::damaged(Report::default(), damage));
        }
        Err(error) => return Err(error),
    };
    // Retention may have removed what followed the gap, too.
    if let Some(gap) = &gap
        && *moment.sequences.windows.start() == gap.first_seq.windows
    {
        audit = audit.after_gap(gap.begins);
    }
    if let Some(truth) = truth {
        audit = audit.with_truth(truth);
    }
    let total = Stream::ALL.iter().map(|&stream| moment.sequences[stream].clone().count() as u64).sum();
    let streams = PerStream::from_fn(|stream| Entries {
        reader,
        stream,
        left: moment.sequences[stream].clone(),
        chunk: Vec::new().into_iter(),
    });
    for (read, entry) in (1..).zip(Merge::new(streams)) {
        match entry {
            Ok(entry) => audit.entry(&entry),
            Err(ReadError::Damaged(damage)) => {
                return Ok(Verified::damaged(audit.so_far(), damage));
            }
            Err(error) => return Err(error),
        }
        if read % CHUNK == 0 {
            progress(read, total);
        }
    }
    let report = audit.finish(moment.head.state.next_tick, Some(&moment.queue));
    let mut notes: Vec<_> = gap.iter().map(sentence).collect();
    let damage = match reader.check_file(FILE_CHECK_MAX) {
        Ok(whole) => {
            notes.extend((!whole).then(cut_short));
            None
        }
        Err(error) => damage(error),
    };
    Ok(Verified { report, damage, notes })
}

fn begin(reader: &OutboxReader, moment: &Moment) -> Result<Audit, ReadError> {
    let first = PerStream::try_from_fn(|stream| {
        let seqs = &moment.sequences[stream];
        if seqs.is_empty() {
            return Ok(None);
        }
        reader.entries(stream, *seqs.start()..=*seqs.start()).map(|mut entries| entries.pop())
    })?;
    Ok(Audit::new(reader.meta()?.identity.lengths, &first))
}

fn sentence(gap: &GapRow) -> String {
    let GapRow { after, begins, given_up, .. } = gap;
    let ended = after.map_or("before its first tick".to_owned(), |after| format!("after tick {after}"));
    format!(
        "the journal was put back from a copy that ended {ended} and went on at tick {begins}: what ran between is not known, \
         {given_up} executions that waited in the copy were given up; what lies before is not checked"
    )
}

fn cut_short() -> String {
    format!(
        "SQLite's own check of the file was not through after {} s and was ended, so that a running server's log can be \
         emptied; each entry was read and checked",
        FILE_CHECK_MAX.as_secs()
    )
}

fn damage(error: ReadError) -> Option<Damage> {
    match error {
        ReadError::Damaged(damage) => Some(damage),
        _ => None,
    }
}

/// A stream's entries, read in chunks.
struct Entries<'a> {
    reader: &'a OutboxReader,
    stream: Stream,
    left: RangeInclusive<u64>,
    chunk: vec::IntoIter<Entry>,
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.chunk.next() {
            return Some(Ok(entry));
        }
        if self.left.is_empty() {
            return None;
        }
        let (first, last) = (*self.left.start(), *self.left.end());
        let mut to = last.min(first + CHUNK - 1);
        loop {
            match self.reader.entries(self.stream, first..=to) {
                Ok(entries) => {
                    self.left = to + 1..=last;
                    self.chunk = entries.into_iter();
                    return self.chunk.next().map(Ok);
                }
                // Closer to the damage: what lies before it can be checked.
                Err(ReadError::Damaged(_)) if to > first => to = first + (to - first) / 2,
                Err(error) => {
                    self.left = RangeInclusive::new(1, 0);
                    return Some(Err(error));
                }
            }
        }
    }
}
