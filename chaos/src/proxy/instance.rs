//! One proxy: where it listens, where it leads, its toxics, and its task while it is enabled.

use super::address::{self, Refused};
use super::connection::Shared;
use super::counts::{Counts, get};
use super::dice::Dice;
use super::door::{Connect, Door};
use super::postgres;
use super::running::Running;
use super::setting::{InForce, Order, Setting, Settings};
use super::toxic::End;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::watch;

/// How long links may take to follow a change before nobody waits for them any more.
const FOLLOWED_WITHIN: Duration = Duration::from_millis(500);

/// What a proxy is created from.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its name, unique in a server.
    pub name: String,
    /// Where it listens; empty or port 0 is any port.
    pub listen: String,
    /// Where it leads.
    pub upstream: String,
    /// Whether it listens at once.
    pub enabled: bool,
    /// Reads the PostgreSQL protocol along.
    pub is_postgres: bool,
    /// What becomes of those who connect.
    pub connect: Connect,
    /// Its first toxics.
    pub toxics: Vec<Order>,
}

/// One proxy.
#[derive(Debug)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// Where it listens; as it was asked for until it was first enabled, then resolved.
    pub listen: String,
    /// Where it leads.
    pub upstream: String,
    /// What becomes of those who connect.
    pub connect: Connect,
    /// What it counts.
    pub counts: Arc<Counts>,
    /// What it saw of the PostgreSQL protocol.
    pub postgres: Option<Arc<postgres::Counts>>,
    dice: Dice,
    settings: watch::Sender<Settings>,
    toxics_made: u64,
    running: Option<Running>,
}

/// Why a toxic can't be set or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoToxic {
    /// There is one of this name.
    Exists,
    /// There is none.
    NotFound,
}

impl Instance {
    /// A proxy with its toxics, not enabled yet.
    #[must_use]
    pub fn new(plan: &Plan, seed: &Dice) -> Self {
        let mut instance = Self {
            name: plan.name.clone(),
            listen: plan.listen.clone(),
            upstream: plan.upstream.clone(),
            connect: plan.connect,
            counts: Arc::default(),
            postgres: plan.is_postgres.then(Arc::default),
            dice: seed.of(&[plan.name.as_bytes()]),
            settings: watch::Sender::new(Settings::default()),
            toxics_made: 0,
            running: None,
        };
        for order in &plan.toxics {
            let setting = instance.make(order.clone());
            instance.put(|settings| settings.push(setting));
        }
        instance
    }

    /// True while it listens.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.running.is_some()
    }

    /// Listens; nothing when it does.
    ///
    /// # Errors
    /// The address can't be listened on; the proxy stays disabled.
    pub async fn start(&mut self) -> Result<(), Refused> {
        if self.running.is_some() {
            return Ok(());
        }
        let door = open(&self.listen).await?;
        self.enter(door).await
    }

    /// Takes the door and accepts, in the mode that is set.
    async fn enter(&mut self, mut door: Door) -> Result<(), Refused> {
        door.set(self.connect).await.map_err(|error| Refused(address::system_text(&error)))?;
        self.listen = door.address().to_string();
        let shared = Shared {
            upstream: self.upstream.clone(),
            dice: self.dice.clone(),
            settings: self.settings.subscribe(),
            counts: Arc::clone(&self.counts),
            postgres: self.postgres.clone(),
        };
        let running = Running::start(door, Arc::new(shared));
        // The door is in its mode; this tells the task how long to wait before it dials.
        running.connect(self.connect).await.map_err(|error| Refused(address::system_text(&error)))?;
        tracing::info!(name = self.name, listen = self.listen, upstream = self.upstream, "proxy enabled");
        self.running = Some(running);
        Ok(())
    }

    /// Stops listening and ends all connections; toxics stay.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
            tracing::info!(name = self.name, "proxy disabled");
        }
    }

    /// Listens or leads elsewhere: all connections end, toxics stay. Nothing changes when the new address can't be
    /// listened on.
    ///
    /// # Errors
    /// The new address can't be listened on.
    pub async fn change(&mut self, listen: &str, upstream: &str, enabled: bool) -> Result<(), Refused> {
        let moves = listen != self.listen && !self.is_at(listen).await?;
        if moves && enabled {
            let door = open(listen).await?;
            self.stop().await;
            upstream.clone_into(&mut self.upstream);
            return self.enter(door).await;
        }
        if moves || upstream != self.upstream {
            self.stop().await;
            if moves {
                listen.clone_into(&mut self.listen);
            }
            upstream.clone_into(&mut self.upstream);
        }
        if enabled {
            self.start().await
        } else {
            self.stop().await;
            Ok(())
        }
    }

    /// True when that is where it listens.
    ///
    /// # Errors
    /// It is no address.
    pub async fn is_at(&self, listen: &str) -> Result<bool, Refused> {
        let wanted = address::resolve(listen).await?;
        Ok(self.listen.parse::<SocketAddr>().is_ok_and(|here| address::is_same(here, wanted)))
    }

    /// Changes what becomes of those who connect.
    ///
    /// # Errors
    /// The system refused.
    pub async fn set_connect(&mut self, mode: Connect) -> Result<(), Refused> {
        if let Some(running) = &self.running {
            running.connect(mode).await.map_err(|error| Refused(address::system_text(&error)))?;
        }
        self.connect = mode;
        Ok(())
    }

    /// Ends all connections now; says how many.
    ///
    /// # Errors
    /// The task that accepts is gone.
    pub async fn cut(&self, end: End) -> Result<usize, Refused> {
        match &self.running {
            None => Ok(0),
            Some(running) => running.cut(end).await.map_err(|error| Refused(address::system_text(&error))),
        }
    }

    /// The toxics in force: upstream ones first, each in the order in which they were set.
    #[must_use]
    pub fn toxics(&self) -> Vec<Arc<Setting>> {
        let mut settings = self.settings.borrow().toxics.clone();
        settings.sort_by_key(|setting| setting.order.stream.name() == "downstream");
        settings
    }

    /// The toxic of that name.
    #[must_use]
    pub fn toxic(&self, name: &str) -> Option<Arc<Setting>> {
        self.settings.borrow().toxics.iter().find(|setting| setting.order.name == name).cloned()
    }

    /// Sets a toxic, on connections that are open too.
    ///
    /// # Errors
    /// There is one of this name.
    pub fn add_toxic(&mut self, order: Order) -> Result<Arc<Setting>, NoToxic> {
        if self.toxic(&order.name).is_some() {
            return Err(NoToxic::Exists);
        }
        let setting = self.make(order);
        self.put(|settings| settings.push(Arc::clone(&setting)));
        Ok(setting)
    }

    /// Returns when all links follow the toxics that are in force: they never wait for data without listening for that,
    /// so it takes microseconds, or as long as the machine is that busy, but not for ever.
    pub async fn followed(&self) {
        let now = self.settings.borrow().clone();
        let all = async {
            while get(&now.followed_by) < get(&self.counts.links) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(FOLLOWED_WITHIN, all).await.is_err() {
            tracing::warn!(
                name = self.name,
                "not all connections follow the toxics yet: the machine is too busy"
            );
        }
    }

    /// Changes the toxic of the order's name.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn change_toxic(&mut self, order: Order) -> Result<Arc<Setting>, NoToxic> {
        let changed = self.toxic(&order.name).ok_or(NoToxic::NotFound)?.changed(order);
        self.put(|settings| {
            for setting in settings.iter_mut().filter(|setting| setting.number == changed.number) {
                *setting = Arc::clone(&changed);
            }
        });
        Ok(changed)
    }

    /// Takes a toxic away.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn remove_toxic(&mut self, name: &str) -> Result<(), NoToxic> {
        let number = self.toxic(name).ok_or(NoToxic::NotFound)?.number;
        self.put(|settings| settings.retain(|setting| setting.number != number));
        Ok(())
    }

    /// Takes all toxics away.
    pub fn remove_toxics(&mut self) {
        self.put(Vec::clear);
    }

    fn make(&mut self, order: Order) -> Arc<Setting> {
        self.toxics_made += 1;
        Setting::new(self.toxics_made, order)
    }

    /// Puts other settings in force: links follow by themselves, nobody is waited for.
    fn put(&mut self, change: impl FnOnce(&mut Vec<Arc<Setting>>)) {
        let mut settings = self.settings.borrow().toxics.clone();
        change(&mut settings);
        let followed_by = AtomicU64::new(0);
        self.settings.send_replace(Arc::new(InForce { toxics: settings, followed_by }));
    }
}

/// Listens there.
async fn open(listen: &str) -> Result<Door, Refused> {
    let resolved =
        address::resolve(listen).await.map_err(|Refused(why)| Refused(format!("listen tcp: {why}")))?;
    Door::open(resolved)
        .map_err(|error| Refused(format!("listen tcp {listen}: bind: {}", address::system_text(&error))))
}
