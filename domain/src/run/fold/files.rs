//! Files that streaming answers have begun, and files that steps have written.

use crate::{
    event::TextRef,
    file::FilePath,
    id::{StepRunId, Timestamp},
    run::{
        log::LogKind,
        state::{FILE_LIMIT, RunFile, RunState},
    },
};

impl RunState {
    pub(super) fn file_requested(&mut self, path: &FilePath) {
        if self.files_requested.len() < FILE_LIMIT && !self.files_requested.contains(path) {
            self.files_requested.push(path.clone());
        }
    }

    pub(super) fn file_written(
        &mut self,
        at: Timestamp,
        step: StepRunId,
        path: &FilePath,
        content: &TextRef,
        edited: bool,
    ) {
        self.file_requested(path);
        self.bytes_generated += content.bytes;
        match self.files.iter_mut().find(|file| file.path == *path) {
            Some(file) => {
                (file.content, file.step, file.at) = (content.clone(), step, at);
                file.writes += 1;
            }
            None => {
                let (path, content) = (path.clone(), content.clone());
                self.files.push(RunFile { path, content, step, at, writes: 1 });
            }
        }
        self.note(at, LogKind::FileWritten { step, path: path.clone(), edited });
    }
}
