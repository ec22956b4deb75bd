package io.panatron.runtime.observe.tracker;

import com.fasterxml.jackson.databind.JsonNode;
import org.jspecify.annotations.Nullable;

/**
 * What a tracker is told about a run at its start.
 *
 * @param workspace the user or team the project belongs to; null takes the key's own
 * @param name the run's name, as people see it
 * @param config parameters and their values
 */
record TrackerRun(
    @Nullable String workspace, String project, String name, String host, JsonNode config) {}
