//! Drives a proxy server: ours, or a real Toxiproxy. Every call looks at the status, and every change is read back,
//! so that a fault that was not set is an error and not a quiet run.

mod error;
mod http;
mod model;

pub use crate::proxy::door::Connect;
pub use error::ControlError;
pub use model::{Cut, FullProxy, FullToxic, NewProxy, Passed, Proxy, ServerInfo, Stream, Toxic};

use error::Outcome;
use http::Http;
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The control of one proxy server.
#[derive(Debug, Clone)]
pub struct Control {
    http: Http,
}

impl Control {
    /// The control of the server whose API is at `address`: `127.0.0.1:8474` or `http://127.0.0.1:8474`. Nothing is
    /// asked yet.
    ///
    /// # Errors
    /// [`ControlError::Address`].
    pub fn new(address: &str) -> Result<Self, ControlError> {
        Ok(Self { http: Http::to(address)? })
    }

    /// The version of Toxiproxy that the server says it is.
    ///
    /// # Errors
    /// The server could not be asked.
    pub async fn version(&self) -> Result<String, ControlError> {
        let version: Value = self.ask("read the version", Method::GET, "/version", None).await?;
        Ok(version["version"].as_str().unwrap_or_default().to_owned())
    }

    /// All proxies by name.
    ///
    /// # Errors
    /// The server could not be asked.
    pub async fn proxies(&self) -> Result<BTreeMap<String, Proxy>, ControlError> {
        self.ask("list the proxies", Method::GET, "/proxies", None).await
    }

    /// One proxy.
    ///
    /// # Errors
    /// There is none of this name, or the server could not be asked.
    pub async fn proxy(&self, name: &str) -> Result<Proxy, ControlError> {
        self.ask(format!("read proxy {name}"), Method::GET, &path(&["proxies", name]), None).await
    }

    /// Creates a proxy with its toxics, so that no client ever gets through without them. With anything that only
    /// ours knows (its toxics, `is_postgres`, `connect`) the server must be one of ours.
    ///
    /// # Errors
    /// The name or the address is taken, a toxic makes no sense, or the server could not be asked. Nothing is left.
    pub async fn create(&self, new: &NewProxy) -> Result<Proxy, ControlError> {
        let what = format!("create proxy {} from {} to {}", new.name, new.listen, new.upstream);
        if new.needs_ours() {
            self.server().await?;
            let _: Value = self.ask(&what, Method::POST, "/x/proxies", Some(new.full_body())).await?;
        } else {
            // Toxiproxy ignores toxics here; disabled, nobody gets through before they are set.
            let disabled = !new.toxics.is_empty();
            let body = json!({"name": new.name, "listen": new.listen, "upstream": new.upstream, "enabled": new.enabled && !disabled});
            let _: Value = self.ask(&what, Method::POST, "/proxies", Some(body)).await?;
            if let Err(error) = self.furnish(new).await {
                // What is half made would stand in the way of the next attempt; the first error is the one to tell.
                let _ = self.delete(&new.name).await;
                return Err(error);
            }
        }
        let made = self.proxy(&new.name).await?;
        let is_right = made.enabled == new.enabled && made.upstream == new.upstream;
        check(what, is_right, format!("{made:?}"))?;
        Ok(made)
    }

    async fn furnish(&self, new: &NewProxy) -> Result<(), ControlError> {
        for toxic in &new.toxics {
            self.set_toxic(&new.name, toxic).await?;
        }
        if !new.toxics.is_empty() && new.enabled {
            self.set_enabled(&new.name, true).await?;
        }
        Ok(())
    }

    /// Removes a proxy, with its connections; one that isn't there is removed already.
    ///
    /// # Errors
    /// The server could not be asked.
    pub async fn delete(&self, name: &str) -> Result<(), ControlError> {
        let what = format!("remove proxy {name}");
        self.absent(what, &path(&["proxies", name])).await
    }

    /// Enables or disables a proxy. Disabled, it refuses connects, and all its connections are closed.
    ///
    /// # Errors
    /// There is none of this name, its address is taken, or the server could not be asked.
    pub async fn set_enabled(&self, name: &str, enabled: bool) -> Result<Proxy, ControlError> {
        let what = format!("{} proxy {name}", if enabled { "enable" } else { "disable" });
        let path = path(&["proxies", name]);
        let _: Value = self.ask(&what, Method::POST, &path, Some(json!({"enabled": enabled}))).await?;
        let now = self.proxy(name).await?;
        check(what, now.enabled == enabled, format!("{now:?}"))?;
        Ok(now)
    }

    /// Leads a proxy elsewhere; all its connections are closed.
    ///
    /// # Errors
    /// There is none of this name, or the server could not be asked.
    pub async fn set_upstream(&self, name: &str, upstream: &str) -> Result<Proxy, ControlError> {
        let what = format!("lead proxy {name} to {upstream}");
        let path = path(&["proxies", name]);
        let _: Value = self.ask(&what, Method::POST, &path, Some(json!({"upstream": upstream}))).await?;
        let now = self.proxy(name).await?;
        check(what, now.upstream == upstream, format!("{now:?}"))?;
        Ok(now)
    }

    /// Sets a toxic, or changes the one of this name (then its kind and stream stay what they were).
    ///
    /// # Errors
    /// There is no such proxy, the toxic makes no sense, another one has its name, or the server could not be asked.
    pub async fn set_toxic(&self, proxy: &str, toxic: &Toxic) -> Result<Toxic, ControlError> {
        let what = format!("set toxic {} on proxy {proxy}", toxic.name);
        let root: &[&str] = if toxic.is_ours() { &["x", "proxies", proxy] } else { &["proxies", proxy] };
        if toxic.is_ours() {
            self.server().await?;
        }
        let (all, one) =
            (path(&[root, &["toxics"]].concat()), path(&[root, &["toxics", &toxic.name]].concat()));
        let made = self.try_ask::<Value>(&what, Method::POST, &all, Some(toxic.body())).await?;
        match made {
            Outcome::Done(_) => {}
            Outcome::Refused(refusal) if refusal.status == 409 => {
                let change = json!({"attributes": toxic.attributes, "toxicity": toxic.toxicity});
                let _: Value = self.ask(&what, Method::PATCH, &one, Some(change)).await?;
            }
            Outcome::Refused(refusal) => return Err(refusal.into()),
        }
        let now: Toxic = self.ask(&what, Method::GET, &one, None).await?;
        check(what, toxic.is_fulfilled_by(&now), format!("{now:?}"))?;
        Ok(now)
    }

    /// Takes a toxic away; one that isn't there is gone already.
    ///
    /// # Errors
    /// The server could not be asked.
    pub async fn remove_toxic(&self, proxy: &str, name: &str) -> Result<(), ControlError> {
        let what = format!("remove toxic {name} from proxy {proxy}");
        self.absent(what.clone(), &path(&["proxies", proxy, "toxics", name])).await?;
        if self.is_ours().await? {
            self.absent(what, &path(&["x", "proxies", proxy, "toxics", name])).await?;
        }
        Ok(())
    }

    /// Heals everything: every proxy is enabled, nothing is done to it any more.
    ///
    /// # Errors
    /// A proxy could not be enabled (its address was taken meanwhile), or the server could not be asked.
    pub async fn reset(&self) -> Result<(), ControlError> {
        let what = "reset all proxies";
        let _: Value = self.ask(what, Method::POST, "/reset", None).await?;
        let ill =
            self.proxies().await?.into_values().find(|proxy| !proxy.enabled || !proxy.toxics.is_empty());
        check(what.to_owned(), ill.is_none(), format!("{ill:?}"))
    }

    /// True when the server is one of ours and knows what stands under `/x`.
    ///
    /// # Errors
    /// The server could not be asked.
    pub async fn is_ours(&self) -> Result<bool, ControlError> {
        match self.server().await {
            Ok(_) => Ok(true),
            Err(ControlError::NotOurs { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What the server says of itself.
    ///
    /// # Errors
    /// [`ControlError::NotOurs`], or the server could not be asked.
    pub async fn server(&self) -> Result<ServerInfo, ControlError> {
        match self.try_ask("read /x", Method::GET, "/x", None).await? {
            Outcome::Done(info) => Ok(info),
            Outcome::Refused(refusal) if refusal.status == 404 => {
                Err(ControlError::NotOurs { server: self.http.address().to_owned() })
            }
            Outcome::Refused(refusal) => Err(refusal.into()),
        }
    }

    /// A proxy with all that is known of it: connections, bytes, and what passed each toxic since it was set.
    ///
    /// # Errors
    /// As [`Control::server`], or there is none of this name.
    pub async fn full_proxy(&self, name: &str) -> Result<FullProxy, ControlError> {
        self.server().await?;
        self.ask(format!("read proxy {name}"), Method::GET, &path(&["x", "proxies", name]), None).await
    }

    /// A toxic and what passed it since it was set: a fault that bites has passed something.
    ///
    /// # Errors
    /// As [`Control::server`], or there is no such proxy or toxic.
    pub async fn full_toxic(&self, proxy: &str, name: &str) -> Result<FullToxic, ControlError> {
        self.server().await?;
        let what = format!("read toxic {name} of proxy {proxy}");
        self.ask(what, Method::GET, &path(&["x", "proxies", proxy, "toxics", name]), None).await
    }

    /// Lets connects in, refuses them, lets them hang, or delays them; connections that are open go on.
    ///
    /// # Errors
    /// As [`Control::server`], or there is none of this name.
    pub async fn set_connect(&self, name: &str, mode: Connect) -> Result<FullProxy, ControlError> {
        self.server().await?;
        let what = format!("set the connects of proxy {name} to {mode:?}");
        let path = path(&["x", "proxies", name, "connect"]);
        let _: Value = self.ask(&what, Method::PUT, &path, Some(as_json(&mode))).await?;
        let now = self.full_proxy(name).await?;
        check(what, now.connect == mode, format!("{:?}", now.connect))?;
        Ok(now)
    }

    /// Ends all open connections of a proxy at once, idle ones too; says how many.
    ///
    /// # Errors
    /// As [`Control::server`], or there is none of this name.
    pub async fn cut(&self, name: &str, how: Cut) -> Result<u64, ControlError> {
        self.server().await?;
        let what = format!("cut the connections of proxy {name}");
        let path = path(&["x", "proxies", name, "cut"]);
        let ended: Value = self.ask(&what, Method::POST, &path, Some(json!({"how": how}))).await?;
        ended["ended"].as_u64().ok_or(ControlError::NotSo { what, found: ended.to_string() })
    }

    /// Removes what is at `path` and looks that it is gone.
    async fn absent(&self, what: String, path: &str) -> Result<(), ControlError> {
        for method in [Method::DELETE, Method::GET] {
            match self.try_ask::<Value>(&what, method.clone(), path, None).await? {
                Outcome::Refused(refusal) if refusal.status == 404 => return Ok(()),
                Outcome::Refused(refusal) => return Err(refusal.into()),
                Outcome::Done(found) if method == Method::GET => {
                    return Err(ControlError::NotSo { what, found: found.to_string() });
                }
                Outcome::Done(_) => {}
            }
        }
        Ok(())
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        what: impl AsRef<str>,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, ControlError> {
        match self.try_ask(what.as_ref(), method, path, body).await? {
            Outcome::Done(answer) => Ok(answer),
            Outcome::Refused(refusal) => Err(refusal.into()),
        }
    }

    async fn try_ask<T: DeserializeOwned>(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Outcome<T>, ControlError> {
        self.http.ask(what, method, path, body).await
    }
}

/// What was asked for is what the server says now.
fn check(what: String, is_so: bool, found: String) -> Result<(), ControlError> {
    if is_so { Ok(()) } else { Err(ControlError::NotSo { what, found }) }
}

fn as_json(value: &impl Serialize) -> Value {
    // Only plain structs are sent: no maps with keys that aren't text.
    serde_json::to_value(value).unwrap_or_default()
}

/// A path of these segments; what isn't plain in a name is escaped.
fn path(segments: &[&str]) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        for byte in segment.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' => {
                    path.push(char::from(byte))
                }
                other => path.push_str(&format!("%{other:02X}")),
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        assert_eq!(path(&["proxies", "my db/1"]), "/proxies/my%20db%2F1");
    }
}
