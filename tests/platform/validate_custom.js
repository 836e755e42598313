// Reads JSON objects, one a line, and says of each whether its custom resource's own schema takes it.
'use strict';
const path = require('path');
const modules = path.join(process.argv[2], 'node_modules/@kubernetes-models');
const kinds = {
  ScaledObject: ['keda/keda.sh/v1alpha1', 'ScaledObject'],
  Certificate: ['cert-manager/cert-manager.io/v1', 'Certificate'],
  HTTPRoute: ['gateway-api/gateway.networking.k8s.io/v1', 'HTTPRoute'],
};
let failed = false;
for (const line of require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
  const object = JSON.parse(line);
  const [file, name] = kinds[object.kind];
  try {
    new (require(path.join(modules, file))[name])(object).validate();
  } catch (error) {
    console.log(`${object.kind} ${object.metadata.name}: ${error.message}`);
    failed = true;
  }
}
process.exit(failed ? 1 : 0);
