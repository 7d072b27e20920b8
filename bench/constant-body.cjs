/** What plain Node gives: one body and its headers, whatever is asked. Prints its port. */
const { createServer } = require('node:http');

const [body, etag] = process.argv.slice(2);
const bytes = Buffer.from(body);

const server = createServer((_request, response) => {
  response.setHeader('Cache-Control', 'no-cache');
  response.setHeader('ETag', etag);
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': bytes.length });
  response.end(bytes);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
