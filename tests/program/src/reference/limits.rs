//! Streaks where numbers end: the rule of a set of one oracle in signed 128-bit numbers, which can't wrap.

/// What the ledger holds, in slots.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// The clock.
    pub now: u64,
    /// When the oracle spoke last; 0 for never.
    pub spoke: u64,
    /// Since when it has held the subject to be good; 0 for not.
    pub since: u64,
    /// When the subject's status changed last.
    pub status_since: u64,
    /// Both burn-ins.
    pub burn_in: u64,
    /// The age after which a word no longer counts.
    pub max_age: u64,
}

impl Numbers {
    /// Whether the oracle's word counts.
    pub fn is_fresh(&self) -> bool {
        self.spoke != 0 && i128::from(self.now) - i128::from(self.spoke) <= i128::from(self.max_age)
    }

    /// Whether its streak, not counting what was before `floor`, is as long as the burn-in.
    fn is_long_enough(&self, floor: u64) -> bool {
        let streak = i128::from(self.spoke) - i128::from(self.since.max(floor));
        self.since != 0 && streak >= 0 && streak >= i128::from(self.burn_in)
    }

    /// Whether a subject before first service is activated.
    pub fn activates(&self) -> bool {
        self.is_fresh() && self.is_long_enough(0)
    }

    /// Whether a drained one is.
    pub fn undrains(&self) -> bool {
        self.activates() && self.is_long_enough(self.status_since)
    }
}
