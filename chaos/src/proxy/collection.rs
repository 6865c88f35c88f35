//! All proxies of a server. Changes go one after another; none of them waits for data.

use super::api::problem::Problem;
use super::dice::Dice;
use super::instance::{Instance, Plan};
use std::collections::BTreeMap;
use tokio::sync::{Mutex, MutexGuard};

/// All proxies by name.
#[derive(Debug)]
pub struct Collection {
    seed: u64,
    proxies: Mutex<Proxies>,
}

/// The proxies, while nobody else changes them.
pub type Proxies = BTreeMap<String, Instance>;

impl Collection {
    /// No proxies, and what all luck is drawn from.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, proxies: Mutex::default() }
    }

    /// What all luck is drawn from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The proxies, for this caller alone.
    pub async fn lock(&self) -> MutexGuard<'_, Proxies> {
        self.proxies.lock().await
    }

    /// Creates a proxy: wholly or not at all.
    ///
    /// # Errors
    /// The name is taken, or the address can't be listened on.
    pub async fn create(&self, proxies: &mut Proxies, plan: &Plan) -> Result<(), Problem> {
        if proxies.contains_key(&plan.name) {
            return Err(Problem::new(409, "proxy already exists"));
        }
        let mut instance = Instance::new(plan, &Dice::new(self.seed));
        if plan.enabled {
            instance.start().await?;
        }
        proxies.insert(plan.name.clone(), instance);
        Ok(())
    }

    /// Creates a proxy, replaces one that differs, and leaves one alone that listens and leads to the same places.
    ///
    /// # Errors
    /// The address can't be listened on.
    pub async fn create_or_replace(&self, proxies: &mut Proxies, plan: &Plan) -> Result<(), Problem> {
        if let Some(existing) = proxies.get_mut(&plan.name) {
            if existing.upstream == plan.upstream && existing.is_at(&plan.listen).await.unwrap_or(false) {
                return Ok(());
            }
            existing.stop().await;
            proxies.remove(&plan.name);
        }
        self.create(proxies, plan).await
    }

    /// Ends everything.
    pub async fn clear(&self) {
        let mut proxies = self.lock().await;
        while let Some((_, mut instance)) = proxies.pop_first() {
            instance.stop().await;
        }
    }
}
