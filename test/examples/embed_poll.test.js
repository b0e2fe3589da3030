'use strict';

const testRoom = require('./room.js');

testRoom('embed_poll', 1200); // more than it has places at once
