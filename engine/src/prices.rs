//! What models cost, as an admin of the installation says, and what a launch may cost by what past runs took.
//!
//! Always true: a run's cost is settled at the prices that it began with, step by step as it goes. A price that changes, or
//! comes later, changes no past run. What is not known is left out, never counted as nothing.

use crate::{
    Engine, Error, Result, StartError, User,
    accounts::admins_only,
    store::{self, Store, prices as rows},
};
use domain::{
    id::ProjectId,
    key::{ModelName, TemplateKey},
    plan::Plan,
    price::Price,
    run::StepStatus,
    usage::Usage,
    view::{Estimate, ModelPrice, RolePreview, StepPreview},
};
use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

/// How many past runs an estimate is made of.
const LOOKED_AT: u32 = 20;
/// How many models are listed and priced.
const MOST: u32 = 500;

pub(crate) struct Prices(RwLock<BTreeMap<ModelName, Price>>);

impl Prices {
    pub async fn open(store: &Store) -> Result<Self, StartError> {
        let all = rows::all(store.read()).await.map_err(StartError::Providers)?;
        Ok(Self(RwLock::new(all.into_iter().collect())))
    }

    pub fn of(&self, model: &ModelName) -> Option<Price> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(model).copied()
    }

    fn all(&self) -> BTreeMap<ModelName, Price> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, model: ModelName, price: Option<Price>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match price {
            Some(price) => all.insert(model, price),
            None => all.remove(&model),
        };
    }
}

impl Engine {
    /// The models that have a price, and those that a role uses without one, by name. Installation admins only: roles of
    /// every project are among them.
    pub async fn prices(&self, user: &User) -> Result<Vec<ModelPrice>> {
        admins_only(user)?;
        let used = rows::models_in_use(self.0.store.read(), MOST).await?;
        let mut all: BTreeMap<ModelName, Option<Price>> =
            used.into_iter().map(|model| (model, None)).collect();
        all.extend(self.0.prices.all().into_iter().map(|(model, price)| (model, Some(price))));
        Ok(all.into_iter().map(|(model, price)| ModelPrice { model, price }).collect())
    }

    /// From now on the model costs this; none: nobody says. Runs that have begun keep what they began with. Installation
    /// admins only.
    ///
    /// # Errors
    /// `Conflict` when too many models have a price.
    pub async fn set_price(&self, user: &User, model: ModelName, price: Option<Price>) -> Result<()> {
        admins_only(user)?;
        let all = self.0.prices.all();
        if price.is_some() && !all.contains_key(&model) && all.len() >= MOST as usize {
            return Err(Error::Conflict(format!("{MOST} models have a price already; take one away first")));
        }
        let engine = self.clone();
        let stored = model.clone();
        // To its end, also when the one who asked goes away: what is stored and what is in memory must not part.
        let done = tokio::spawn(async move {
            engine
                .0
                .store
                .write(move |tx| Box::pin(async move { rows::set(tx, &stored, price, store::now()).await }))
                .await?;
            engine.0.prices.set(model, price);
            Ok(())
        });
        done.await.map_err(Error::internal)?
    }

    /// What a run of these steps may take: per step the median of the last completed runs of the template that had it, at
    /// what its model costs now. None where some step that calls a model has no past.
    pub(crate) async fn estimate(
        &self,
        project: ProjectId,
        template: &TemplateKey,
        plan: &Plan,
        steps: &[StepPreview],
    ) -> Result<Option<Estimate>> {
        let past = rows::completed(self.0.store.read(), project, template, LOOKED_AT).await?;
        if past.is_empty() {
            return Ok(None);
        }
        let mut taken: BTreeMap<&str, Vec<Usage>> = BTreeMap::new();
        for run in &past {
            for step in &run.orchestration_status.steps {
                // What was taken over from another run took nothing here, which says nothing.
                let reused = step.status == StepStatus::Completed && step.attempt == 0;
                if !reused && matches!(step.status, StepStatus::Completed | StepStatus::Skipped) {
                    taken.entry(&step.name).or_default().push(step.usage);
                }
            }
        }
        let (mut runs, mut sum) = (past.len(), Usage::default());
        for (planned, step) in plan.steps.iter().zip(steps) {
            let calls = planned.body.needs_role() || planned.body == domain::plan::Body::Template;
            if !calls {
                continue;
            }
            let Some(past) = taken.get(planned.name.as_str()) else { return Ok(None) };
            runs = runs.min(past.len());
            let price = step.role.as_ref().and_then(|RolePreview { model, .. }| self.0.prices.of(model));
            sum += median(past).at(price);
        }
        let runs = u32::try_from(runs).unwrap_or(u32::MAX);
        Ok((sum.total() > 0).then_some(Estimate { runs, usage: sum }))
    }
}

/// Of the tokens read and of the tokens written, each by itself; the lower of two in the middle.
fn median(of: &[Usage]) -> Usage {
    let middle = |tokens: fn(&Usage) -> u64| {
        let mut all: Vec<_> = of.iter().map(tokens).collect();
        all.sort_unstable();
        all.get(all.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    };
    Usage::new(middle(|usage| usage.input_tokens), middle(|usage| usage.output_tokens))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_no_mean() {
        let usages = [(10, 1), (20, 1_000), (5_000, 3)].map(|(input, output)| Usage::new(input, output));
        assert_eq!(median(&usages), Usage::new(20, 3));
        assert_eq!(median(&usages[..2]), Usage::new(10, 1));
        assert_eq!(median(&[]), Usage::default());
    }
}
