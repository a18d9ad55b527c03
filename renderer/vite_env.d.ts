/**
 * Tells the compiler what Vite makes of style sheets, workers and assets that are imported.
 * Types only: nothing of this file is in the build.
 */
/// <reference types="vite/client" />
