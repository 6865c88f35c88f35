//! Counters of known growth go in; what processes and the machine used in each level must come out.

use crate::made::{MS, level, resource, run};
use shakedown_reports::history::{History, HostUsage, Resource};
use shakedown_reports::joined::Joined;
use shakedown_reports::measure::{self, Measure};
use shakedown_reports::plan::Plan;

/// A level of 8 workflows, 16.07 s long, and the instant in milliseconds at which it begins.
fn eight() -> (Plan, History, u64, u64) {
    let (plan, history) = run(&[level("1x", 8)]);
    let (began, ended) = (history.began[0].at_ns / MS, history.ended[0].at_ns / MS);
    (plan, history, began, ended)
}

fn all(plan: &Plan, history: &History) -> Vec<Measure> {
    measure::all(&Joined::new(plan, history))
}

#[track_caller]
fn value(measures: &[Measure], name: &str) -> f64 {
    let m = measure::find(measures, name).unwrap_or_else(|| panic!("no measure {name}"));
    m.value.unwrap_or_else(|| panic!("{m:?}"))
}

#[track_caller]
fn close(measured: f64, known: f64) {
    assert!((measured - known).abs() <= known.abs() * 0.001 + 1e-9, "measured {measured}, known {known}");
}

#[test]
fn cpu_is_what_was_used_in_the_window_and_nothing_before_or_after() {
    let (plan, mut history, began, ended) = eight();
    // Half a core in the level, and a whole one in the second before and after it.
    let half = (ended - began) / 2 * MS;
    for (at_ms, cpu_ns) in [
        (began - 1_000, 0),
        (began, 1_000 * MS),
        (ended, 1_000 * MS + half),
        (ended + 1_000, 2_000 * MS + half),
    ] {
        history.resources.push(resource("engine", 7, at_ms, cpu_ns, 1 << 20));
    }
    let m = all(&plan, &history);
    close(value(&m, "1x/cpu_cores.engine"), 0.5);
    close(value(&m, "1x/cpu_share.engine"), 0.25);
    // The harness of a made run takes a fifth of two cores.
    close(value(&m, "1x/harness_cpu_ratio"), 0.4 / 0.5);
}

#[test]
fn a_process_that_was_replaced_starts_a_new_count() {
    let (plan, mut history, began, ended) = eight();
    let middle = u64::midpoint(began, ended);
    history.resources.extend([
        resource("load", 7, began, 5_000 * MS, 1),
        resource("load", 7, middle, 6_000 * MS, 1),
        resource("load", 8, middle, 0, 1),
        resource("load", 8, ended, 3_000 * MS, 1),
    ]);
    let m = all(&plan, &history);
    close(value(&m, "1x/cpu_cores.load"), 4_000.0 / (ended - began) as f64);
    // What the load child takes is the harness's too.
    let share = (0.4 + 4_000.0 / (ended - began) as f64) / 2.0;
    close(value(&m, "1x/driver_cpu_share"), share);
}

#[test]
fn memory_has_a_peak_a_share_and_a_slope_with_an_interval() {
    let (plan, mut history, began, ended) = eight();
    history.header.machine.insert("memory_mib".into(), "1000".into());
    for i in 0..32 {
        let at_ms = began + i * 500;
        assert!(at_ms < ended);
        // 2 MiB a sample up and a wobble of 1 MiB: 240 MiB a minute.
        let mib = 100 + 2 * i + i % 2;
        history.resources.push(resource("engine", 7, at_ms, 0, mib << 20));
    }
    history.resources.push(resource("engine", 7, ended + 60_000, 0, 500 << 20));
    let m = all(&plan, &history);
    close(value(&m, "1x/memory_peak_mib.engine"), 163.0);
    close(value(&m, "1x/memory_share.engine"), 0.163);
    close(value(&m, "memory_peak_mib.engine"), 500.0);
    let growth = measure::find(&m, "1x/memory_growth_mib_per_min.engine").unwrap();
    assert_eq!((growth.unit.as_str(), growth.n), ("MiB/min", 32));
    assert!((growth.value.unwrap() - 240.0).abs() < 5.0, "{growth:?}");
    assert!(growth.lo.unwrap() > 200.0 && growth.hi.unwrap() < 280.0, "{growth:?}");
    let few = measure::find(&m, "1x/memory_growth_mib_per_min.harness").unwrap();
    assert_eq!((few.value, few.missing.as_deref()), (None, Some("needs 10")));
}

#[test]
fn storage_is_counted_where_the_kernel_counts_it_and_absent_elsewhere() {
    let (plan, mut history, began, ended) = eight();
    let sample = |at_ms, written_mib: u64, waited_ms: u64| Resource {
        written_bytes: Some(written_mib << 20),
        io_wait_ns: Some(waited_ms * MS),
        ..resource("engine", 7, at_ms, 0, 1)
    };
    history.resources.extend([sample(began, 5, 0), sample(ended, 47, (ended - began) / 4)]);
    let m = all(&plan, &history);
    close(value(&m, "1x/disk_written_mib.engine"), 42.0);
    close(value(&m, "1x/io_wait_share.engine"), 0.25);
    assert!(measure::find(&m, "1x/disk_read_mib.engine").is_none(), "not counted is not zero");
}

#[test]
fn the_machine_is_measured_beside_the_processes() {
    let (plan, mut history, began, ended) = eight();
    let sample = |at_ms, busy_ms: u64, mib: Option<u64>| HostUsage {
        at_ns: at_ms * MS,
        cpu_busy_ns: busy_ms * MS,
        cpu_iowait_ns: 0,
        cpu_steal_ns: busy_ms * MS / 10,
        loopback_bytes: mib.map(|mib| mib << 20),
        network_bytes: None,
        disk_read_bytes: None,
        disk_written_bytes: mib.map(|mib| mib << 21),
    };
    history.hosts = vec![sample(began, 0, Some(0)), sample(ended, ended - began, Some(100))];
    let m = all(&plan, &history);
    close(value(&m, "1x/host_cpu_share"), 0.5);
    close(value(&m, "1x/host_steal_share"), 0.05);
    close(value(&m, "1x/host_loopback_mib"), 100.0);
    close(value(&m, "1x/host_disk_written_mib"), 200.0);
    assert!(measure::find(&m, "1x/host_network_mib").is_none());
}
