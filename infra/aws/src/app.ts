import { App, Aspects } from "aws-cdk-lib";
import { AwsSolutionsChecks } from "cdk-nag";
import { accept } from "./accepted.js";
import { RegistryStack } from "./registry.js";
import { PalisadeStack } from "./stack.js";
import { certificate, digest, region, stage } from "./stage.js";

const app = new App();
const repository: unknown = app.node.tryGetContext("repository");
if (typeof repository === "string") {
  accept(new RegistryStack(app, "palisade-registry", repository));
} else {
  const wanted = stage(app.node.tryGetContext("stage"));
  const release = { digest: digest(app.node.tryGetContext("digest")), certificate: certificate(app.node.tryGetContext("certificate")) };
  accept(new PalisadeStack(app, `palisade-${wanted.name}`, wanted, release, { env: { region: region(process.env.AWS_REGION), account: process.env.CDK_DEFAULT_ACCOUNT } }), wanted);
}
Aspects.of(app).add(new AwsSolutionsChecks());
