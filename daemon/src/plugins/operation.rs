//! What a plugin can be asked to do, and how each operation is named where.

use serde::{Deserialize, Serialize};

/// An operation that a plugin may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the contract's own")]
pub enum Operation {
    DiscoveryRepository,
    DiscoverySourceConfig,
    LinkedPreSnapshot,
    LinkedPostSnapshot,
    LinkedMountSpecification,
    LinkedStartStaging,
    LinkedStopStaging,
    LinkedStatus,
    LinkedWorker,
    LinkedSourceSize,
    LinkedPreSourceToPhysical,
    LinkedSourceToPhysical,
    VirtualConfigure,
    VirtualReconfigure,
    VirtualInitialize,
    VirtualUnconfigure,
    VirtualCleanup,
    VirtualStart,
    VirtualStop,
    VirtualPreSnapshot,
    VirtualPostSnapshot,
    VirtualMountSpecification,
    VirtualStatus,
    VirtualSourceSize,
    VirtualPreSourceToPhysical,
    VirtualSourceToPhysical,
}

/// An operation with its group, its name there, and the flag of an artifact's manifest that says that it exists.
type Row = (Operation, &'static str, &'static str, &'static str);

/// All operations.
const TABLE: [Row; 26] = [
    (Operation::DiscoveryRepository, "discovery", "repository", "hasRepositoryDiscovery"),
    (Operation::DiscoverySourceConfig, "discovery", "source_config", "hasSourceConfigDiscovery"),
    (Operation::LinkedPreSnapshot, "linked", "pre_snapshot", "hasLinkedPreSnapshot"),
    (Operation::LinkedPostSnapshot, "linked", "post_snapshot", "hasLinkedPostSnapshot"),
    (Operation::LinkedMountSpecification, "linked", "mount_specification", "hasLinkedMountSpecification"),
    (Operation::LinkedStartStaging, "linked", "start_staging", "hasLinkedStartStaging"),
    (Operation::LinkedStopStaging, "linked", "stop_staging", "hasLinkedStopStaging"),
    (Operation::LinkedStatus, "linked", "status", "hasLinkedStatus"),
    (Operation::LinkedWorker, "linked", "worker", "hasLinkedWorker"),
    (Operation::LinkedSourceSize, "linked", "source_size", "hasLinkedSourceSize"),
    (Operation::LinkedPreSourceToPhysical, "linked", "pre_source_to_physical", "hasLinkedPreSourceToPhysical"),
    (Operation::LinkedSourceToPhysical, "linked", "source_to_physical", "hasLinkedSourceToPhysical"),
    (Operation::VirtualConfigure, "virtual", "configure", "hasVirtualConfigure"),
    (Operation::VirtualReconfigure, "virtual", "reconfigure", "hasVirtualReconfigure"),
    (Operation::VirtualInitialize, "virtual", "initialize", "hasInitialize"),
    (Operation::VirtualUnconfigure, "virtual", "unconfigure", "hasVirtualUnconfigure"),
    (Operation::VirtualCleanup, "virtual", "cleanup", "hasVirtualCleanup"),
    (Operation::VirtualStart, "virtual", "start", "hasVirtualStart"),
    (Operation::VirtualStop, "virtual", "stop", "hasVirtualStop"),
    (Operation::VirtualPreSnapshot, "virtual", "pre_snapshot", "hasVirtualPreSnapshot"),
    (Operation::VirtualPostSnapshot, "virtual", "post_snapshot", "hasVirtualPostSnapshot"),
    (Operation::VirtualMountSpecification, "virtual", "mount_specification", "hasVirtualMountSpecification"),
    (Operation::VirtualStatus, "virtual", "status", "hasVirtualStatus"),
    (Operation::VirtualSourceSize, "virtual", "source_size", "hasVirtualSourceSize"),
    (Operation::VirtualPreSourceToPhysical, "virtual", "pre_source_to_physical", "hasVirtualPreSourceToPhysical"),
    (Operation::VirtualSourceToPhysical, "virtual", "source_to_physical", "hasVirtualSourceToPhysical"),
];

impl Operation {
    /// Every operation.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.into_iter().map(|row| row.0)
    }

    /// Its group: `discovery`, `linked` or `virtual`.
    pub fn group(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// Its name in its group.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].2
    }

    /// The flag of a manifest that says that a plugin has it.
    pub fn flag(self) -> &'static str {
        TABLE[self as usize].3
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.group(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_operations_and_json_names_them_alike() {
        for (at, operation) in Operation::all().enumerate() {
            assert_eq!(operation as usize, at);
            let name = format!("\"{}_{}\"", operation.group(), operation.name());
            assert_eq!(serde_json::to_string(&operation).unwrap(), name);
        }
    }
}
