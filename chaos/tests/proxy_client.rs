//! The control client: what it changes is there, and what did not happen is an error that says so.

use crate::peers::{Api, Upstream};
use serde_json::json;
use shakedown_chaos::proxy::client::{Connect, Control, ControlError, Cut, NewProxy, Stream, Toxic};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn latency(milliseconds: u64) -> Toxic {
    Toxic::new("slow", "latency", Stream::Upstream, &[("latency", json!(milliseconds))])
}

#[test]
fn a_life_of_a_proxy() {
    let api = Api::start();
    let upstream = Upstream::echo();
    let control = Control::new(&format!("http://{}", api.address)).unwrap();
    block_on(async {
        assert_eq!(control.version().await.unwrap(), "2.12.0");
        assert_eq!(control.server().await.unwrap().seed, 1);
        let mut new = NewProxy::new("my db", "127.0.0.1:0", &upstream.address.to_string());
        new.toxics = vec![latency(5)];
        let made = control.create(&new).await.unwrap();
        assert!(
            made.enabled && made.toxics.len() == 1 && made.toxics[0].attributes["latency"] == 5,
            "{made:?}"
        );
        let mut client = TcpStream::connect(&made.listen).unwrap();
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
        let full = control.full_proxy("my db").await.unwrap();
        assert_eq!((full.connections.open, full.bytes.upstream.sent, full.bytes.downstream.sent), (1, 1, 1));
        assert!(full.toxics[0].since_set.mean_delay_ms.unwrap() >= 5.0, "{full:?}");
        assert_eq!(control.set_toxic("my db", &latency(7)).await.unwrap().attributes["latency"], 7);
        let seen = control.full_toxic("my db", "slow").await.unwrap().since_set;
        assert_eq!((seen.links, seen.received_bytes), (1, 0), "counted from the change");
        assert_eq!(control.set_connect("my db", Connect::Refuse).await.unwrap().connect, Connect::Refuse);
        assert_eq!(control.cut("my db", Cut::Reset).await.unwrap(), 1);
        assert_eq!(control.full_proxy("my db").await.unwrap().connections.open, 0);
        assert!(!control.set_enabled("my db", false).await.unwrap().enabled);
        control.remove_toxic("my db", "slow").await.unwrap();
        control.remove_toxic("my db", "slow").await.unwrap();
        control.reset().await.unwrap();
        let healed = control.full_proxy("my db").await.unwrap();
        assert!(healed.enabled && healed.connect == Connect::Accept && healed.toxics.is_empty());
        control.delete("my db").await.unwrap();
        control.delete("my db").await.unwrap();
        assert!(control.proxies().await.unwrap().is_empty());
    });
}

#[test]
fn what_only_ours_knows_is_created_at_once() {
    let api = Api::start();
    let control = Control::new(&api.address.to_string()).unwrap();
    block_on(async {
        let mut new = NewProxy::new("db", "127.0.0.1:0", "127.0.0.1:1");
        new.is_postgres = true;
        new.connect = Connect::Delay { delay_ms: 3 };
        new.toxics = vec![Toxic::new("cut", "cut_at_answer", Stream::Downstream, &[("nth", json!(2))])];
        control.create(&new).await.unwrap();
        let full = control.full_proxy("db").await.unwrap();
        assert_eq!(full.toxics[0].toxic.attributes["nth"], 2);
        assert_eq!((full.connect, full.answers.unwrap().writes), (Connect::Delay { delay_ms: 3 }, 0));
        let swallow = Toxic::new("hole", "swallow", Stream::Upstream, &[]).with_toxicity(0.5);
        assert!((control.set_toxic("db", &swallow).await.unwrap().toxicity - 0.5).abs() < 1e-9);
        control.remove_toxic("db", "hole").await.unwrap();
        assert_eq!(control.full_proxy("db").await.unwrap().toxics.len(), 1);
    });
}

#[test]
fn what_is_refused_leaves_nothing_and_says_what_to_do() {
    let api = Api::start();
    let control = Control::new(&api.address.to_string()).unwrap();
    block_on(async {
        let new = NewProxy::new("a", "127.0.0.1:0", "127.0.0.1:1");
        control.create(&new).await.unwrap();
        let twice = control.create(&new).await.unwrap_err().to_string();
        assert!(twice.contains("create proxy a") && twice.contains("409 (proxy already exists)"), "{twice}");
        assert!(twice.contains("remove the one that is there"), "{twice}");
        let mut half = NewProxy::new("b", "127.0.0.1:0", "127.0.0.1:1");
        half.toxics =
            vec![latency(1), Toxic::new("bad", "bandwidth", Stream::Upstream, &[("rate", json!(-1))])];
        let error = control.create(&half).await.unwrap_err().to_string();
        assert!(error.contains("set toxic bad on proxy b") && error.contains("rate is negative"), "{error}");
        assert!(
            matches!(control.proxy("b").await, Err(ControlError::Refused(refusal)) if refusal.status == 404)
        );
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let on_taken = NewProxy::new("c", &taken.local_addr().unwrap().to_string(), "127.0.0.1:1");
        let error = control.create(&on_taken).await.unwrap_err().to_string();
        assert!(
            error.contains("address already in use") && error.contains("see whether the address is free"),
            "{error}"
        );
        control.set_toxic("a", &latency(1)).await.unwrap();
        let other = Toxic::new("slow", "bandwidth", Stream::Upstream, &[]);
        assert!(
            matches!(control.set_toxic("a", &other).await, Err(ControlError::NotSo { .. })),
            "its kind stays"
        );
    });
}

#[test]
fn a_server_that_is_not_there_or_silent() {
    for wrong in ["", "localhost", "https://a:1", "a:1/path", "a b:1"] {
        let error = Control::new(wrong).map(|_| ()).unwrap_err();
        assert!(matches!(error, ControlError::Address { .. }), "{wrong}: {error}");
    }
    let nobody = Upstream::nobody().to_string();
    let error = block_on(Control::new(&nobody).unwrap().reset()).unwrap_err();
    assert!(matches!(error, ControlError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("cannot reset all proxies: no proxy server at"), "{error}");
    let hangs_up = scripted(&[]);
    let error = block_on(Control::new(&hangs_up).unwrap().reset()).unwrap_err();
    assert!(matches!(error, ControlError::NoAnswer { .. }), "{error:?}");
}

/// A server that answers in turn what is scripted, whatever it is asked, and hangs up then.
fn scripted(answers: &[(u16, &str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answers: Vec<_> = answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
    std::thread::spawn(move || {
        let mut answers = answers.into_iter();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let Some((status, body)) = answers.next() else { continue };
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

/// A proxy as Toxiproxy 2.12 shows it.
fn shown(enabled: bool) -> String {
    format!(
        r#"{{"name":"a","listen":"[::]:5","upstream":"b:1","enabled":{enabled},"Logger":{{}},"toxics":[
           {{"attributes":{{"latency":1,"jitter":0}},"name":"slow","type":"latency","stream":"UPSTREAM","toxicity":1}}]}}"#
    )
}

#[test]
fn a_toxiproxy_is_driven_too_and_known_for_what_it_lacks() {
    let toxiproxy = scripted(&[(200, &shown(false)), (200, &shown(false))]);
    let disabled = block_on(Control::new(&toxiproxy).unwrap().set_enabled("a", false)).unwrap();
    assert_eq!((disabled.toxics[0].stream, disabled.toxics[0].toxicity), (Stream::Upstream, 1.0));
    let toxiproxy = scripted(&[(404, "404 page not found\n"), (404, "404 page not found\n")]);
    let control = Control::new(&toxiproxy).unwrap();
    assert!(!block_on(control.is_ours()).unwrap());
    let error = block_on(control.cut("a", Cut::Reset)).unwrap_err();
    assert!(error.to_string().contains("is no shakedown proxy: it has no /x"), "{error}");
}

#[test]
fn yes_is_not_believed() {
    let liar = scripted(&[(200, &shown(true)), (200, &shown(true))]);
    let error = block_on(Control::new(&liar).unwrap().set_enabled("a", false)).unwrap_err();
    assert!(matches!(error, ControlError::NotSo { .. }), "{error:?}");
    let toxic =
        r#"{"attributes":{"latency":4},"name":"slow","type":"latency","stream":"upstream","toxicity":1}"#;
    let liar = scripted(&[(200, toxic), (200, toxic)]);
    let error = block_on(Control::new(&liar).unwrap().set_toxic("a", &latency(5))).unwrap_err();
    assert!(error.to_string().contains("to set toxic slow on proxy a was answered as done, but"), "{error}");
}
