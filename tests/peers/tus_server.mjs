// node tus_server.mjs DIRECTORY: the official tus server with its file store, on a free port of the loopback.
// Prints {"url": ...} once it answers; ends when its standard input is closed.
import { FileStore } from '@tus/file-store';
import { Server } from '@tus/server';

// Some Node versions close a web stream twice when an answer's body is dropped (HEAD), and die of it.
process.on('uncaughtException', (error) => {
  if (error.code !== 'ERR_INVALID_STATE') {
    throw error;
  }
});

const server = new Server({ path: '/files', datastore: new FileStore({ directory: process.argv[2] }) });
const listener = server.listen({ host: '127.0.0.1', port: 0 }, () => {
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${listener.address().port}/files/` })}\n`);
});
process.stdin.on('end', () => process.exit(0)).resume();
