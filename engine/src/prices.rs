//! Model prices, set by an installation admin, and cost estimates of launches from past runs.
//!
//! Invariant: each step of a run is charged at the prices that applied when the run began. A later price, new or
//! changed, affects no past run. Unknown costs are omitted, never counted as zero.

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

/// How many past runs an estimate uses.
const LOOKED_AT: u32 = 20;
/// The most models that are listed or priced.
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
    /// The models that have a price, and the models without one that roles use, by name. Installation admins only,
    /// because the list covers the roles of every project.
    pub async fn prices(&self, user: &User) -> Result<Vec<ModelPrice>> {
        admins_only(user)?;
        let used = rows::models_in_use(self.0.store.read(), MOST).await?;
        let mut all: BTreeMap<ModelName, Option<Price>> =
            used.into_iter().map(|model| (model, None)).collect();
        all.extend(self.0.prices.all().into_iter().map(|(model, price)| (model, Some(price))));
        Ok(all.into_iter().map(|(model, price)| ModelPrice { model, price }).collect())
    }

    /// Sets the model's price; `None` removes it. Runs that have begun keep their prices. Installation admins only.
    ///
    /// # Errors
    /// `Conflict` if too many models have a price.
    pub async fn set_price(&self, user: &User, model: ModelName, price: Option<Price>) -> Result<()> {
        admins_only(user)?;
        let all = self.0.prices.all();
        if price.is_some() && !all.contains_key(&model) && all.len() >= MOST as usize {
            return Err(Error::Conflict(format!("{MOST} models have a price already; take one away first")));
        }
        let engine = self.clone();
        let stored = model.clone();
        // Runs to its end even if the caller disconnects, because the stored prices and those in memory must not
        // diverge.
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

    /// The estimated usage of a run of these steps: per step the median of the template's last completed runs with that
    /// step, at the current price of its model. `None` if some step that calls a model has no past usage.
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
                // An output reused from another run cost nothing here, so it is no evidence.
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

/// The medians of input and of output tokens, separately; the lower one of two in the middle.
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
