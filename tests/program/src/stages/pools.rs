//! A device and a link in pools that are as full as a test wants them.

use causeway_interface::{
    DeviceStatus, ErrorCode, LoopbackType, PoolKind,
    accounts::{Device, Interface, Link, OFFSET_STATUS, Record},
};
use causeway_sdk::{DeviceRefs, LinkRefs};
use solana_sdk::{instruction::Instruction, pubkey::Pubkey, signature::Signer};

use crate::{
    World,
    plant::hybrid,
    reference::pool::{Taken, fill_but},
    scene::Scene,
    world::{code, prefix},
};

/// A device and a link that are about to be provisioned, and that are ready to be closed again.
pub struct PoolStage {
    /// The accounts.
    pub scene: Scene,
    /// The device and what stands above it.
    pub device: DeviceRefs,
    /// The link and its ends.
    pub link: LinkRefs,
    owner: Pubkey,
}

/// Base of a scene: nothing of the pools is held by the device and the link.
pub const BEFORE: usize = 0;
/// Base of a scene: both are provisioned and deleting.
pub const DELETING: usize = 1;

impl PoolStage {
    /// In the blocks of a [`World`].
    pub fn new() -> Self {
        Self::in_blocks("172.16.0.0/16", "172.17.0.0/16")
    }

    /// In these blocks of link nets and of loopbacks.
    pub fn in_blocks(links: &str, loopbacks: &str) -> Self {
        let mut world = World::bare();
        let mut data = world.init_data();
        (data.link_block, data.loopback_block) = (prefix(links), prefix(loopbacks));
        world.init(data).expect("a pool stage's accounts are in order");
        let party = world.party("acme");
        let [a, z, _] = ["a", "z", "d"].map(|name| world.add_device(&party, hybrid(name)));
        world.add_wan(&party, "a-z", (&a, "eth3"), (&z, "eth3"));
        // The link's devices hold nothing of the pools: only their status counts here.
        for device in [&a, &z] {
            let address = world.ix.addresses().device(device);
            world.tamper(&address, |account| account.data[OFFSET_STATUS] = DeviceStatus::DeviceProvisioning.byte());
        }
        let device = world.device_refs(&code("d"));
        let link = world.link_refs(&code("a-z"));
        let mut pools = Self { scene: Scene::new(world), device, link, owner: party.owner.pubkey() };
        pools.provision_device().expect("a pool stage's accounts are in order");
        pools.provision_link().expect("a pool stage's accounts are in order");
        let (ix, owner) = (&pools.scene.world.ix, &pools.owner);
        let deletes = [ix.delete_device(owner, &device, 0), ix.delete_link(owner, &link.a.contributor, &link.link, 0)];
        for delete in deletes {
            pools.scene.send(&delete).expect("a pool stage's accounts are in order");
        }
        assert_eq!(pools.scene.keep(), DELETING);
        pools
    }

    fn send(&mut self, instruction: Instruction) -> Result<u64, ErrorCode> {
        self.scene.send(&instruction).map(|_| self.scene.cu)
    }

    /// Provisions the device: compute units.
    ///
    /// # Errors
    /// The program's own.
    pub fn provision_device(&mut self) -> Result<u64, ErrorCode> {
        self.send(self.scene.world.ix.provision_device(&self.owner, &self.device, 0))
    }

    /// Provisions the link: compute units.
    ///
    /// # Errors
    /// The program's own.
    pub fn provision_link(&mut self) -> Result<u64, ErrorCode> {
        self.send(self.scene.world.ix.provision_link(&self.owner, &self.link, 0))
    }

    /// Closes the device: compute units.
    ///
    /// # Errors
    /// The program's own.
    pub fn close_device(&mut self) -> Result<u64, ErrorCode> {
        self.send(self.scene.world.ix.close_device(&self.owner, &self.device, &self.owner, 0))
    }

    /// Closes the link: compute units.
    ///
    /// # Errors
    /// The program's own.
    pub fn close_link(&mut self) -> Result<u64, ErrorCode> {
        self.send(self.scene.world.ix.close_link(&self.owner, &self.link, &self.owner, 0))
    }

    /// Where a pool is.
    pub fn address(&self, kind: PoolKind) -> Pubkey {
        self.scene.world.ix.addresses().pool(kind)
    }

    /// What a pool has handed out.
    pub fn taken(&self, kind: PoolKind) -> Taken {
        Taken::read(self.scene.bytes(&self.address(kind)))
    }

    /// Makes a pool have handed out this.
    pub fn fill(&mut self, kind: PoolKind, taken: &Taken) {
        self.scene.plant_bytes(&self.address(kind), |bytes| taken.write(bytes));
    }

    /// Makes a pool have handed out everything but these.
    pub fn leave(&mut self, kind: PoolKind, free: &[usize]) {
        self.scene.plant_bytes(&self.address(kind), |bytes| fill_but(bytes, free));
    }

    /// Whether a pool has handed out everything, and says so throughout.
    pub fn is_full(&self, kind: PoolKind) -> bool {
        let found = self.scene.bytes(&self.address(kind));
        let mut full = found.to_vec();
        fill_but(&mut full, &[]);
        found == full
    }

    /// A routing loopback of the device.
    pub fn loopback(&self, which: LoopbackType) -> Interface {
        let device =
            Device::decode(self.scene.bytes(&self.device.device)).expect("a pool stage's accounts are in order");
        device.interfaces.into_iter().find(|i| i.loopback == which).expect("a pool stage's accounts are in order")
    }

    /// Indexes of the two loopbacks and of the segment id that the device holds.
    pub fn held_by_device(&self) -> [usize; 3] {
        let loopbacks = self.scene.world.pool(PoolKind::Loopback).base;
        let [vpnv4, ipv4] = [LoopbackType::Vpnv4, LoopbackType::Ipv4].map(|which| self.loopback(which));
        let index = |interface: &Interface| (interface.address.addr.to_u32() - loopbacks) as usize;
        [index(&vpnv4), index(&ipv4), usize::from(vpnv4.node_segment) - 1]
    }

    /// Indexes of the net and of the id that the link holds.
    pub fn held_by_link(&self) -> [usize; 2] {
        let link = Link::decode(self.scene.bytes(&self.link.link)).expect("a pool stage's accounts are in order");
        let nets = self.scene.world.pool(PoolKind::LinkNet).base;
        [((link.tunnel_net.addr.to_u32() - nets) / 2) as usize, link.tunnel_id as usize - 1]
    }
}

impl Default for PoolStage {
    fn default() -> Self {
        Self::new()
    }
}
