#!/usr/bin/env node
/**
 * Starts `barman`.
 */
import { start } from './start.js'

await start('barman/main', import.meta.url)
