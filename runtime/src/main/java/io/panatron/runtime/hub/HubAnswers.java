package io.panatron.runtime.hub;

import io.panatron.runtime.UserError;
import java.net.http.HttpResponse;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a user is told of an answer that a second try will not change. */
record HubAnswers(HubRepository repository, @Nullable String file) {
  private static final List<Integer> DENIED = List.of(401, 403);

  UserError refusal(HubSettings settings, HttpResponse<?> response) {
    int status = response.statusCode();
    String code = HubHttp.header(response, "X-Error-Code", "");
    String page = settings.endpoint() + repository.page();
    if (code.equals("GatedRepo")) {
      return new UserError(
          "%s on the hub is gated; accept its conditions at %s and give --hub_token or HF_TOKEN%s."
              .formatted(repository.id(), page, tokenNote(settings)));
    }
    if (code.equals("RevisionNotFound") || status == 404 && file == null && isNamed(code)) {
      return new UserError(
          "%s on the hub has no revision %s; give another --model_revision, or leave it out."
              .formatted(repository.id(), repository.revision()));
    }
    if (DENIED.contains(status)) {
      return new UserError(
          "The hub answers %d for %s, which does not exist or is private; check the name, and for a private one give --hub_token or HF_TOKEN%s."
              .formatted(status, repository.id(), tokenNote(settings)));
    }
    if (status == 404) {
      return new UserError(
          "%s is not on the hub at %s; check the name, or give a folder on this machine."
              .formatted(
                  file == null ? repository.id() : file + " of " + repository.id(),
                  settings.endpoint()));
    }
    return new UserError(
        "The hub answers %d for %s%s; try again later, or look at %s."
            .formatted(status, file == null ? "" : file + " of ", repository.id(), page));
  }

  private boolean isNamed(String code) {
    return code.isEmpty() && !repository.revision().equals(HubRepository.MAIN);
  }

  private static String tokenNote(HubSettings settings) {
    return settings.token() == null ? "" : " of an account that may read it";
  }
}
