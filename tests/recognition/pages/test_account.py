"""Signing in, the password, API keys, the zoo and the help."""

from __future__ import annotations

from recognition.serving import api_keys
from tests.support.page_text import visible_text


def test_signing_in_leads_to_the_projects(client, alice):
    answer = client.post('/login/', {'username': 'alice', 'password': 'alice-password'})
    assert (answer.status_code, answer.url) == (302, '/')


def test_a_wrong_password_is_refused_without_revealing_which_part_was_wrong(client, alice):
    for name in ('alice', 'nobody'):
        answer = client.post('/login/', {'username': name, 'password': 'wrong'})
        assert 'The user name or the password is wrong.' in visible_text(answer)


def test_signing_in_never_leads_to_another_site(client, alice):
    answer = client.post(
        '/login/?next=//evil.example/',
        {'username': 'alice', 'password': 'alice-password', 'next': '//evil.example/'},
    )
    assert answer.url == '/'


def test_signing_out_needs_a_form(browser):
    assert browser.get('/logout/').status_code == 405
    assert browser.post('/logout/').url == '/login/'
    assert browser.get('/').status_code == 302


def test_the_password_is_changed_with_the_old_one(browser, alice):
    fields = {
        'old_password': 'alice-password',
        'new_password1': 'a-much-better-one',
        'new_password2': 'a-much-better-one',
    }
    assert 'Password changed' in visible_text(browser.post('/password/', fields, follow=True))
    alice.refresh_from_db()
    assert alice.check_password('a-much-better-one')


def test_a_weak_password_is_refused_in_words(browser):
    fields = {'old_password': 'alice-password', 'new_password1': '12345', 'new_password2': '12345'}
    assert 'too short' in visible_text(browser.post('/password/', fields))


def test_a_key_is_shown_once_and_works_until_it_is_revoked(browser, alice):
    answer = browser.post('/keys/create/', {'name': 'The line camera', 'scope': 'predict'})
    plain = visible_text(answer).split('Graft stores only its hash. ')[1].split()[0]
    assert plain.startswith('graft_')
    assert answer.headers['Cache-Control'] == 'no-store'
    assert api_keys.authenticate(plain).user == alice
    assert plain not in browser.get('/keys/').content.decode()
    browser.post(f'/keys/{alice.api_keys.get().pk}/revoke/')
    assert api_keys.authenticate(plain) is None
    assert 'revoked' in visible_text(browser.get('/keys/'))


def test_a_key_needs_a_name(browser, alice):
    answer = browser.post(
        '/keys/create/',
        {'name': '', 'scope': 'predict'},
        follow=True,
        headers={'referer': 'http://testserver/keys/'},
    )
    assert 'Enter what the key is for' in visible_text(answer)
    assert not alice.api_keys.exists()


def test_the_zoo_shows_what_every_source_was_trained_on(browser, source):
    page = visible_text(browser.get('/zoo/'))
    for text in (
        'Leaves graft-leaf',
        'Photos of leaves',
        '2400',
        'mobilenet_v3_small',
        '128 × 128 px',
        'CC0',
        'Ships with Graft',
    ):
        assert text in page


def test_the_help_leads_to_the_api(browser):
    assert '/api/v1/docs/' in browser.get('/help/').content.decode()


def test_only_staff_sees_the_way_to_the_administration(browser_of, alice):
    assert '/admin/' not in browser_of(alice).get('/').content.decode()
    alice.is_staff = True
    alice.save()
    assert '/admin/' in browser_of(alice).get('/').content.decode()


def test_many_wrong_passwords_lock_the_account_for_a_while_and_the_page_says_so(client, alice, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        answer = client.post('/login/', {'username': 'alice', 'password': 'wrong'})
    assert answer.status_code == 429
    assert 'Too many attempts' in visible_text(answer)
    assert client.post('/login/', {'username': 'alice', 'password': 'alice-password'}).status_code == 429
