use super::*;

fn failure(code: &'static str) -> Failure {
    Failure::new(code, "")
}

/// Runs the machine with an answer to every action.
fn run(answer: impl Fn(Action) -> Event) -> (Outcome, Vec<Action>) {
    let mut state = State::Loading;
    let mut actions = Vec::new();
    while actions.len() < 32 {
        if let State::Done(outcome) = state {
            return (outcome, actions);
        }
        actions.push(state.action());
        state = state.clone().next(answer(state.action()));
    }
    panic!("the machine does not end: {actions:?}");
}

#[test]
fn all_well_is_applied_in_order() {
    let (outcome, actions) = run(|_| Event::Ok);
    assert_eq!(outcome, Outcome::Applied);
    use Action::*;
    assert_eq!(actions, [Load, Compare, Record, Commit, Verify, Confirm]);
}

#[test]
fn what_runs_already_is_not_touched() {
    let (outcome, actions) = run(|action| if action == Action::Compare { Event::AlreadySo } else { Event::Ok });
    assert_eq!((outcome, actions), (Outcome::Unchanged, vec![Action::Load, Action::Compare]));
}

#[test]
fn each_failing_step_ends_as_it_must() {
    for (failing, refused) in [
        (Action::Load, true),
        (Action::Compare, true),
        (Action::Record, true),
        (Action::Commit, false),
        (Action::Verify, false),
        (Action::Confirm, false),
    ] {
        let (outcome, actions) = run(|action| if action == failing { Event::Failed(failure("X")) } else { Event::Ok });
        let expected = if refused { Outcome::Refused(failure("X")) } else { Outcome::Reverted(failure("X")) };
        assert_eq!(outcome, expected, "{failing:?}");
        assert_eq!(actions.contains(&Action::Commit), !refused, "{failing:?}");
        assert_eq!(actions.contains(&Action::Revert), !refused, "{failing:?}");
    }
}

#[test]
fn a_dead_device_is_left_to_its_timer() {
    let dead_from = |step: Action, timer: bool| {
        run(move |action| match action {
            a if a == step => Event::Failed(failure("DEAD")),
            Action::Revert | Action::LookUp => Event::Failed(failure("STILL_DEAD")),
            Action::AwaitTimer if !timer => Event::Failed(failure("STILL_DEAD")),
            _ => Event::Ok,
        })
        .0
    };
    assert_eq!(dead_from(Action::Commit, true), Outcome::Reverted(failure("DEAD")));
    assert_eq!(dead_from(Action::Confirm, true), Outcome::Reverted(failure("DEAD")));
    assert_eq!(dead_from(Action::Verify, false), Outcome::Lost(failure("DEAD")));
}

#[test]
fn an_unanswered_confirmation_is_looked_up() {
    let (outcome, _) = run(|action| match action {
        Action::Confirm => Event::Failed(failure("TIMEOUT")),
        Action::LookUp => Event::AlreadySo,
        _ => Event::Ok,
    });
    assert_eq!(outcome, Outcome::Applied);
}

#[test]
fn every_state_ends_under_every_sequence_of_events() {
    let events = [Event::Ok, Event::AlreadySo, Event::Failed(failure("X"))];
    for mut seed in 0..3_usize.pow(9) {
        let mut state = State::Loading;
        let mut committed = false;
        let mut confirmed = false;
        for _ in 0..9 {
            let event = events[seed % 3].clone();
            seed /= 3;
            committed |= state.action() == Action::Commit;
            confirmed |=
                matches!(state.action(), Action::Confirm | Action::LookUp) && !matches!(event, Event::Failed(_));
            state = state.next(event);
        }
        let State::Done(outcome) = state else { panic!("{state:?}") };
        match outcome {
            Outcome::Refused(_) | Outcome::Unchanged => assert!(!committed),
            Outcome::Applied => assert!(committed && confirmed),
            Outcome::Reverted(_) | Outcome::Lost(_) => assert!(committed),
        }
    }
}
