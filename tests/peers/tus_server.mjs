// The official tus server on a free port of the loopback.
//   node tus_server.mjs DIRECTORY                        with its file store
//   node tus_server.mjs s3 ENDPOINT BUCKET KEY SECRET    with its S3 store
// Prints {"url": ...} once it answers; ends when its standard input is closed.
import { Server } from '@tus/server';

// Some Node versions close a web stream twice when an answer's body is dropped (HEAD), and die of it.
process.on('uncaughtException', (error) => {
  if (error.code !== 'ERR_INVALID_STATE') {
    throw error;
  }
});

const [kind, endpoint, bucket, accessKeyId, secretAccessKey] = process.argv.slice(2);

async function store() {
  if (kind !== 's3') {
    const { FileStore } = await import('@tus/file-store');
    return new FileStore({ directory: kind });
  }
  const { S3Store } = await import('@tus/s3-store');
  const credentials = { accessKeyId, secretAccessKey };
  const s3ClientConfig = { bucket, endpoint, region: 'us-east-1', forcePathStyle: true, credentials };
  return new S3Store({ partSize: 8 << 20, useTags: false, s3ClientConfig });
}

const server = new Server({ path: '/files', datastore: await store() });
const listener = server.listen({ host: '127.0.0.1', port: 0 }, () => {
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${listener.address().port}/files/` })}\n`);
});
process.stdin.on('end', () => process.exit(0)).resume();
