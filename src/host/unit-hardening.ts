/**
 * What our systemd units take away from the services: everything neither PostgreSQL nor Node.js
 * needs. Source: systemd.exec(5); `systemd-analyze security UNIT` names what is left.
 */

/**
 * For both. What is missing here and why: MemoryDenyWriteExecute (PostgreSQL's JIT, Node.js),
 * PrivateUsers (peer authentication sees users by number), PrivateNetwork, ProcSubset (huge pages
 * and limits are read in /proc), ProtectProc (a lock's holder must be seen).
 */
export const UNIT_HARDENING = `NoNewPrivileges=yes
CapabilityBoundingSet=
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM`
