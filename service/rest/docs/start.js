'use strict'

// A key that is pasted stays in the memory of the page: nothing of it is stored, and it goes to this service alone.
window.ui = SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#page',
  validatorUrl: null,
  tryItOutEnabled: true,
})
