#!/usr/bin/env node
/**
 * Starts `barman-wal-restore`.
 */
import { fileURLToPath } from 'node:url'
import { start } from './start-barman.js'

await start('wal-restore', fileURLToPath(import.meta.url))
