//! Steps that wait for a person, directly or through their child run, and the decisions on them.

use crate::{
    error::ErrorClass,
    event::{ChildQuestion, Decision, Failure, TextRef},
    id::{StepRunId, Timestamp},
    plan::OnFailure,
    run::{
        log::{LogKind, Warning},
        state::RunState,
        step::{Answer, Question, StepStatus},
    },
};

impl RunState {
    pub(super) fn step_waiting(
        &mut self,
        at: Timestamp,
        step: StepRunId,
        (question, proposal): (&TextRef, &TextRef),
        until: Option<Timestamp>,
        on_timeout: Decision,
    ) {
        let state = self.at(step);
        state.status = StepStatus::Waiting;
        state.question = Some(Question {
            asked_at: at,
            question: question.clone(),
            proposal: proposal.clone(),
            until,
            on_timeout,
            answer: None,
        });
        self.waiting.insert(step);
        self.started_at.get_or_insert(at);
        self.note(at, LogKind::Waiting { step });
    }

    pub(super) fn answered(
        &mut self,
        at: Timestamp,
        step: StepRunId,
        decision: Decision,
        by: Option<&str>,
        note: &str,
        output: Option<&TextRef>,
    ) {
        let answer = Answer { at, decision, by: by.map(str::to_owned), note: note.to_owned() };
        let tolerated = self.plan.steps[step.index()].on_failure == OnFailure::Continue;
        let state = self.at(step);
        state.settled_at = Some(at);
        state.output = output.cloned();
        if let Some(question) = &mut state.question {
            question.answer = Some(answer.clone());
        }
        if answer.is_rejection() {
            let class = if by.is_some() { ErrorClass::Refused } else { ErrorClass::Timeout };
            state.error = Some(Failure::new(class, answer.to_string()));
            state.status = StepStatus::Failed;
            self.keep_first_failure(step);
        } else {
            state.status = StepStatus::Completed;
        }
        self.note(at, LogKind::Answered { step, answer: answer.clone() });
        if answer.is_rejection() && tolerated {
            self.warn(at, Warning::Rejected { step, answer });
        }
        self.waiting.remove(&step);
    }

    /// The step waits because its child run does; the question is answered in the child run.
    pub(super) fn child_waiting(&mut self, at: Timestamp, step: StepRunId, question: &ChildQuestion) {
        self.asking.insert(step);
        let state = self.at(step);
        state.status = StepStatus::Waiting;
        state.child_question = Some(Box::new(question.clone()));
        self.note(at, LogKind::ChildWaiting { step, run: question.run, name: question.name.clone() });
    }

    pub(super) fn child_resumed(&mut self, step: StepRunId) {
        self.asking.remove(&step);
        let state = self.at(step);
        state.child_question = None;
        state.status = StepStatus::Running;
    }
}
