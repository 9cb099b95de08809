#!/usr/bin/env node
/**
 * Starts `barman-wal-restore`.
 */
import { start } from './start.js'

await start('barman/wal-restore', import.meta.url)
