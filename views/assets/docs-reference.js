// ReDoc over the description of this server.
const place = document.getElementById('docs')
Redoc.init('/openapi.json', { nonce: place.dataset.nonce, hideDownloadButton: false }, place)
