// The house's layers: which folder of src/ may import which (ARCHITECTURE.md draws it).
const ENGINE = ['util', 'errors', 'postgres', 'wire', 'host', 'store', 'repository', 'wal', 'backup', 'restore', 'cluster']
const MAY_IMPORT = {
  util: [],
  errors: ['util'],
  postgres: ['util', 'errors'],
  wire: ['util', 'errors', 'postgres'],
  host: ['util', 'errors', 'postgres'],
  store: ['util', 'errors', 'postgres'],
  repository: ['util', 'errors', 'postgres', 'store'],
  wal: ['util', 'errors', 'postgres', 'wire', 'store', 'repository'],
  backup: ['util', 'errors', 'postgres', 'wire', 'store', 'repository', 'wal'],
  restore: ['util', 'errors', 'postgres', 'wire', 'host', 'store', 'repository', 'wal', 'backup'],
  // What is wanted and found; then Backstay on other machines; then what changes a cluster, and what tells how it is.
  cluster: ENGINE,
  fleet: ENGINE,
  build: [...ENGINE, 'fleet'],
  failover: [...ENGINE, 'fleet', 'build'],
  report: [...ENGINE, 'fleet', 'build', 'failover'],
  config: ['util', 'errors', 'postgres', 'wire', 'cluster'],
  // One verb a file, for every edge.
  work: [...ENGINE, 'fleet', 'build', 'failover', 'report'],
  service: [...ENGINE, 'work', 'config'],
  barman: [...ENGINE, 'work', 'config', 'service'],
  cli: [...ENGINE, 'fleet', 'build', 'failover', 'report', 'work', 'config', 'service', 'barman'],
}
const layer = ([folder, allowed]) => ({
  name: `${folder}-imports`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: { path: '^src/', pathNot: `^src/(${[folder, ...allowed].join('|')})/` },
})
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'src-never-imports-test', severity: 'error', from: { path: '^src/' }, to: { path: '^(test|bench|scripts)/' } },
    // Another kind of store is one more case in store/address.ts, and nothing else changes.
    {
      name: 'only-address-opens-a-store',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/store/' },
      to: { path: '^src/store/disk-store\\.ts$' },
    },
    // Every frame goes through one place, where a key would be applied. Barman's side reads what Barman compressed; a shipped tree is gzipped for tar.
    {
      name: 'only-the-codec-compresses',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(repository/codec\\.ts$|host/ssh-tree-writer\\.ts$|barman/)' },
      to: { path: '^(node:)?zlib$' },
    },
    ...Object.entries(MAY_IMPORT).map(layer),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
  },
}
