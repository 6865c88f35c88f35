//! From a schedule of faults that fails to the smallest one that still does. Pure: what "fails" means is asked.

/// The smallest schedule that still fails: first without as many faults as possible, then each as short as possible.
/// `fails` is asked about schedules; `shorter` gives a shorter version of one fault, or nothing.
///
/// # Errors
/// What `fails` answers with.
pub async fn shrink<T: Clone, E>(
    whole: Vec<T>,
    shorter: impl Fn(&T) -> Option<T>,
    mut fails: impl AsyncFnMut(&[T]) -> Result<bool, E>,
) -> Result<Vec<T>, E> {
    // Whether any of them is needed at all is the first question, and its answer is often no.
    if fails(&[]).await? {
        return Ok(Vec::new());
    }
    let mut kept = whole;
    let mut at = 0;
    // One that can be left out after a later one was may have been needed beside it: so again from the start.
    while at < kept.len() && kept.len() > 1 {
        let mut without = kept.clone();
        without.remove(at);
        if fails(&without).await? {
            (kept, at) = (without, 0);
        } else {
            at += 1;
        }
    }
    for at in 0..kept.len() {
        while let Some(one) = shorter(&kept[at]) {
            let mut shortened = kept.clone();
            shortened[at] = one;
            if !fails(&shortened).await? {
                break;
            }
            kept = shortened;
        }
    }
    Ok(kept)
}

/// How often a schedule is played before it is called failing or not.
pub const TRIES: u32 = 5;
/// How often it has to fail.
pub const FAILURES: u32 = 3;

/// What is known after some tries: failing, not failing, or nothing yet.
pub fn verdict(failed: u32, tried: u32) -> Option<bool> {
    match () {
        () if failed >= FAILURES => Some(true),
        () if tried - failed > TRIES - FAILURES => Some(false),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// Faults as (name, length); fails while `culprits` are all in it, each at least as long as said.
    async fn shrunk(whole: &[(char, u32)], culprits: &[(char, u32)]) -> Vec<(char, u32)> {
        let fails = async |schedule: &[(char, u32)]| {
            let there = |(name, least): &(char, u32)| schedule.iter().any(|(n, l)| n == name && l >= least);
            Ok::<_, Infallible>(culprits.iter().all(there))
        };
        let shorter = |(name, length): &(char, u32)| (*length > 1).then_some((*name, length / 2));
        shrink(whole.to_vec(), shorter, fails).await.unwrap_or_default()
    }

    #[tokio::test]
    async fn what_is_not_needed_goes_and_what_is_gets_as_short_as_it_may() {
        let whole = [('a', 8), ('b', 8), ('c', 8), ('d', 8)];
        assert_eq!(shrunk(&whole, &[('c', 3)]).await, [('c', 4)]);
        assert_eq!(shrunk(&whole, &[('a', 8), ('d', 1)]).await, [('a', 8), ('d', 1)]);
        assert_eq!(shrunk(&whole, &[]).await, [], "it fails without any fault");
    }

    #[test]
    fn three_of_five_decide() {
        assert_eq!(verdict(3, 3), Some(true));
        assert_eq!(verdict(0, 3), Some(false));
        assert_eq!(verdict(2, 4), None);
        assert_eq!(verdict(2, 5), Some(false));
        assert_eq!(verdict(3, 5), Some(true));
    }
}
