"use strict";

const LINES = "application/x-ndjson";

// Swagger UI takes lines of JSON for JSON: it would send their example as one quoted string, and say of a response that
// it cannot parse it. Lines are text.
const linesAsText = ({ React, fn: { getSampleSchema } }) => ({
  fn: {
    getSampleSchema: (schema, mediaType, options, example) =>
      mediaType === LINES && typeof example === "string"
        ? example
        : getSampleSchema(schema, mediaType, options, example),
  },
  wrapComponents: {
    responseBody: (ResponseBody) => (props) =>
      React.createElement(ResponseBody, props.contentType === LINES ? { ...props, contentType: "text/plain" } : props),
  },
});

window.ui = SwaggerUIBundle({
  // Swagger UI shows the operations of the document in OpenAPI 3.0 several times as fast.
  url: "/openapi-3.0.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  layout: "BaseLayout",
  plugins: [linesAsText],
  validatorUrl: null,
  // A key is kept until the page is closed, and never stored.
  persistAuthorization: false,
  defaultModelsExpandDepth: 0,
});
