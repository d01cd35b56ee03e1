//! What happened in histories, in numbers.

/// What happened in a history.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Steps that were taken.
    pub steps: u64,
    /// Changes and flushes of the disk.
    pub operations: u64,
    /// Ends of the process.
    pub kills: u64,
    /// Ends of the power.
    pub power_cuts: u64,
    /// Recoveries that were cut short.
    pub cut_recoveries: u64,
    /// Faults: reads, writes and flushes that failed, damaged superblocks and indexes.
    pub faults: u64,
    /// Verbs that passed a commit that was under way.
    pub passed: u64,
    /// Snapshots that were compared with their first reading.
    pub snapshots_compared: u64,
}

impl Figures {
    /// Adds another history's.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.operations += other.operations;
        self.kills += other.kills;
        self.power_cuts += other.power_cuts;
        self.cut_recoveries += other.cut_recoveries;
        self.faults += other.faults;
        self.passed += other.passed;
        self.snapshots_compared += other.snapshots_compared;
    }
}
