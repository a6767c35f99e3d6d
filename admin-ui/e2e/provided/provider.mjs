/** A small OpenID Connect provider on loopback: code flow with PKCE; whoever comes is signed in as `person`. */
import { createHash, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { createServer } from "node:http";

const CLIENT = "palisade-ui";
const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export async function startProvider(port) {
  const issuer = `http://127.0.0.1:${port}`;
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const jwk = { ...publicKey.export({ format: "jwk" }), kid: "one", alg: "EdDSA", use: "sig" };
  const codes = new Map();
  const provider = { person: { sub: "ann", roles: ["admin"] }, refusals: 0 };

  const idToken = ({ nonce }) => {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: issuer, aud: CLIENT, iat: now, exp: now + 3600, nonce, ...provider.person };
    const text = `${part({ alg: "EdDSA", kid: "one", typ: "JWT" })}.${part(claims)}`;
    return `${text}.${sign(null, Buffer.from(text), privateKey).toString("base64url")}`;
  };

  const exchange = (form) => {
    const asked = codes.get(form.get("code"));
    codes.delete(form.get("code"));
    const challenge = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    if (!asked || challenge !== asked.challenge) {
      provider.refusals += 1;
      return [400, { error: "invalid_grant" }];
    }
    return [
      200,
      { access_token: randomUUID(), token_type: "Bearer", expires_in: 60, id_token: idToken(asked) },
    ];
  };

  const authorize = (query) => {
    const code = randomUUID();
    codes.set(code, { nonce: query.get("nonce"), challenge: query.get("code_challenge") });
    const back = new URL(query.get("redirect_uri"));
    back.searchParams.set("code", code);
    back.searchParams.set("state", query.get("state"));
    return back.href;
  };

  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, issuer);
    const json = (status, body) =>
      response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
    let body = "";
    for await (const chunk of request) body += chunk;
    switch (pathname) {
      case "/.well-known/openid-configuration":
        return json(200, {
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/jwks`,
          response_types_supported: ["code"],
          subject_types_supported: ["public"],
          id_token_signing_alg_values_supported: ["EdDSA"],
        });
      case "/jwks":
        return json(200, { keys: [jwk] });
      case "/authorize":
        return response.writeHead(303, { Location: authorize(searchParams) }).end();
      case "/token":
        return json(...exchange(new URLSearchParams(body)));
      default:
        return json(404, {});
    }
  });
  await new Promise((done) => server.listen(port, "127.0.0.1", done));
  return Object.assign(provider, { stop: () => server.close() });
}
