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
  restore: ['util', 'errors', 'postgres', 'host', 'store', 'repository', 'wal', 'backup'],
  cluster: ENGINE,
  config: ['util', 'errors', 'postgres', 'wire', 'cluster'],
  service: [...ENGINE, 'config'],
  barman: [...ENGINE, 'config', 'service'],
  cli: [...ENGINE, 'config', 'service', 'barman'],
}
const layer = ([folder, allowed]) => ({
  name: `${folder}-imports`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: { path: '^src/', pathNot: `^src/(${[folder, ...allowed].join('|')})/` },
})
module.exports = {
  forbidden: [
    // A command loads its action lazily and the action takes its types from the command: no cycle when it runs.
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['dynamic-import'] } },
    },
    { name: 'src-never-imports-test', severity: 'error', from: { path: '^src/' }, to: { path: '^(test|bench|scripts)/' } },
    ...Object.entries(MAY_IMPORT).map(layer),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
  },
}
