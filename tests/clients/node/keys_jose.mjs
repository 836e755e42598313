import { readFileSync } from 'node:fs';
import { calculateJwkThumbprint, exportJWK, exportPKCS8, exportSPKI, generateKeyPair, generateSecret, SignJWT } from 'jose';

const claims = JSON.parse(readFileSync(0));
const made = [];
for (const alg of ['ES256', 'ES384', 'EdDSA', 'RS256', 'PS256', 'HS256']) {
  const secret = alg === 'HS256' ? await generateSecret(alg, { extractable: true }) : null;
  const { publicKey, privateKey } = secret ? { publicKey: secret, privateKey: secret } :
    await generateKeyPair(alg, { extractable: true });
  const jwk = { ...await exportJWK(publicKey), alg, use: 'sig' };
  jwk.kid = await calculateJwkThumbprint(jwk);
  made.push({
    alg, jwk,
    private: await exportJWK(privateKey),
    pem: secret ? null : await exportSPKI(publicKey),
    private_pem: secret ? null : await exportPKCS8(privateKey),
    token: await new SignJWT(claims).setProtectedHeader({ alg, kid: jwk.kid }).sign(privateKey),
  });
}
console.log(JSON.stringify(made));
